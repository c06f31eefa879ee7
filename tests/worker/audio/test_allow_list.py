"""The allow-list: what may be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.audio.allow_list import AllowList, is_inside, parse_uri
from worker.exceptions import SettingsError, UnusableAudioError
from worker.records import Reason

ALLOWED = AllowList(["/data/in", "s3://masters/2026", "https://cdn.example.com/flac/"])
SEGMENT = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("/data/in/a.flac", "/data/in/a.flac"),
        ("/data//in/a.flac", "/data/in/a.flac"),
        ("/data/in/100%25 cover.flac", "/data/in/100%25 cover.flac"),
        ("file:///data/in/a%20b.flac", "/data/in/a b.flac"),
        ("FILE://localhost/data/in/a.flac", "/data/in/a.flac"),
        ("s3://masters/2026/a%20b.flac", "s3://masters/2026/a%20b.flac"),
        ("HTTPS://CDN.example.com:443/flac/a.flac?sig=1", "https://cdn.example.com/flac/a.flac?sig=1"),
    ],
)
def test_normalises(uri: str, location: str) -> None:
    """Different spellings of one object end in one location, and only the spelling of a URI is decoded."""
    assert location == ALLOWED.admit(uri).location


@pytest.mark.parametrize(
    "uri",
    [
        "/data/infinite/a.flac",
        "/data/in/",
        "/data/in/../secret.flac",
        "file:///data/in/%2e%2e/secret.flac",
        "file:///data/in/..%2fsecret.flac",
        "file://server/data/in/a.flac",
        "file:data/in/a.flac",
        "data/in/a.flac",
        "",
        "/data/in/a\x00.flac",
        "/data/in/a\n.flac",
        "/data/in/\ud83d.flac",
        "s3://masters/2026/\udcff.flac",
        "s3://masters/2026x/a.flac",
        "s3://masters2/2026/a.flac",
        "s3://masters/2026/../a.flac",
        "s3://masters//2026/a.flac",
        "s3:masters/2026/a.flac",
        "http://cdn.example.com/flac/a.flac",
        "https://cdn.example.com:8443/flac/a.flac",
        "https://cdn.example.com.evil.example/flac/a.flac",
        "https://cdn.example.com@evil.example/flac/a.flac",
        "https://user:pass@cdn.example.com/flac/a.flac",
        "https://cdn.example.com/flac/%252e%252e/a.flac",
        "https://cdn.example.com/flac/%2e%2e/a.flac",
        "https://cdn.example.com/flac//a.flac",
        "https://cdn.example.com/flac/..\\a.flac",
        "https://cdn.example.com/flac/a.flac#x",
        "https://cdn.example.com/flac/#",
        "https://cdn.example.com/flac/?a.flac",
        "https://cdn.example.com:99999/flac/a.flac",
        "https://[::1/flac/a.flac",
        "gs://masters/2026/a.flac",
        "pipe:0",
    ],
)
def test_refuses(uri: str) -> None:
    """Neighbours, dot segments in any spelling, credentials and unknown schemes stay outside."""
    with pytest.raises(UnusableAudioError) as caught:
        ALLOWED.admit(uri)
    assert caught.value.reason == Reason.URI_NOT_ALLOWED


def test_nothing_is_allowed_by_default() -> None:
    """An empty list allows nothing."""
    with pytest.raises(UnusableAudioError):
        AllowList([]).admit("/a.flac")


@pytest.mark.parametrize("prefix", ["data/in", "gs://x", "https://u:p@host/", "s3://", "/a/../b", "https://h/a?b"])
def test_refuses_bad_prefixes(prefix: str) -> None:
    """A prefix that can't be understood stops the worker at its start, by name."""
    with pytest.raises(SettingsError, match="LOSSGATE_ALLOWED_URI_PREFIXES"):
        AllowList([prefix])


@given(st.text(max_size=60))
def test_any_text_is_admitted_below_a_prefix_or_refused(text: str) -> None:
    """No text makes the allow-list fail in another way or leave the folder."""
    for uri in (text, f"/data/in/{text}", f"file:///data/in/{text}", f"https://cdn.example.com/flac/{text}"):
        try:
            admitted = ALLOWED.admit(uri)
        except UnusableAudioError:
            continue
        assert admitted.location.startswith(("/data/in/", "s3://masters/2026/", "https://cdn.example.com/flac/"))
        assert not {".", ".."} & set(admitted.segments)


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.lists(SEGMENT, min_size=1, max_size=3), SEGMENT)
def test_prefixes_end_at_segments(folder: list[str], below: list[str], suffix: str) -> None:
    """A folder allows what lies in it, and never a neighbour whose name begins alike."""
    root = "/" + "/".join(folder)
    allowed = AllowList([root])
    path = "/" + "/".join(folder + below)
    assert path == allowed.admit(path).location
    assert is_inside(path, [root])
    neighbour = f"{root}{suffix}/" + "/".join(below)
    assert not is_inside(neighbour, [root])
    with pytest.raises(UnusableAudioError):
        allowed.admit(neighbour)


@given(st.lists(SEGMENT, min_size=1, max_size=4))
def test_normal_form_is_stable(segments: list[str]) -> None:
    """Normalising twice changes nothing."""
    for uri in ("/" + "/".join(segments), "s3://bucket/" + "/".join(segments)):
        once = parse_uri(uri)
        assert once == parse_uri(once.location)
