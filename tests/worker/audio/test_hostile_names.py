"""Names made to mislead: what a delivery may call its audio, from the event to the log line and the verdict."""

import contextlib
import dataclasses
import logging
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import cases
from tests.worker.audio.conftest import Write, make_settings
from tests.worker.kafka.records_for_tests import DELIVERY
from worker.audio.allow_list import AllowList
from worker.audio.decoder_pool import DecoderPool
from worker.audio.limits import Limits
from worker.audio.object_store import open_object
from worker.exceptions import BadEventError, UnusableAudioError
from worker.kafka.avro_records import check_delivery
from worker.logs import configure_logging
from worker.records import Reason

ESCAPES = [
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\nb",
    'a\r{"event":"verdict","decision":"ACCEPT"}',
    "\u202egnp.calf",
    "\u2066\u2069",
    "\u2028\u2029",
    "\u200b\ufeff",
    "\U000e0041",
    "\ud83d",
    "%1b%5b2J",
    "%0a",
    "%e2%80%ae",
]
DOTS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%25252e%25252e",
    "..%2f",
    "..%5c",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "..;",
    "..%00",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "..\u2215",
    "%uff0e%uff0e",
]


def outside(tmp_path: Path) -> tuple[Path, Path]:
    """An inbox, and a file beside it that no name may reach."""
    (tmp_path / "in").mkdir()
    secret = tmp_path / "secret.flac"
    secret.write_bytes(b"secret")
    return tmp_path / "in", secret


def contents(uri: str, folder: Path) -> bytes | None:
    """What stands behind a URI; None where it is refused or not there."""
    allow_list = AllowList([str(folder)])
    try:
        admitted = allow_list.admit(uri)
        with open_object(admitted, allow_list, Limits.of(make_settings(folder)), None) as stored:
            return stored.read_at(0, 100)
    except UnusableAudioError as error:
        assert error.reason in {Reason.URI_NOT_ALLOWED, Reason.NOT_FOUND, Reason.UNSUPPORTED_FORMAT}
        return None


@pytest.mark.parametrize("dots", DOTS)
@pytest.mark.parametrize("scheme", ["", "file://", "file:"])
def test_no_spelling_of_dots_leads_out(tmp_path: Path, dots: str, scheme: str) -> None:
    """However two dots are encoded, the file beside the inbox stays out of reach."""
    inbox, _ = outside(tmp_path)
    for uri in (f"{inbox}/{dots}/secret.flac", f"{inbox}/x/{dots}/{dots}/secret.flac", f"{inbox}/{dots}secret.flac"):
        assert contents(scheme + uri, inbox) is None


@cases(60)
@given(
    st.lists(st.sampled_from([*DOTS, "/", "//", ".", "%2f", "\\", "%5c", "secret.flac", "link", "a", "?", "#", "\x00"]))
)
def test_no_walk_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    """Any walk through dots, slashes in all spellings and links ends inside or nowhere."""
    inbox, secret = outside(tmp_path_factory.mktemp("walk"))
    (inbox / "link").symlink_to(secret.parent)
    (inbox / "a").mkdir()
    for joined in ("".join(parts), "/".join(parts)):
        for uri in (f"{inbox}/{joined}", f"file://{inbox}/{joined}"):
            assert contents(uri, inbox) is None


def test_links_of_every_kind(tmp_path: Path) -> None:
    """A link out, a chain of links, a link made of dots, a loop, and a folder that is swapped for a link."""
    inbox, secret = outside(tmp_path)
    (inbox / "out").symlink_to(secret)
    (inbox / "chain").symlink_to("out")
    (inbox / "dots").symlink_to("../secret.flac")
    (inbox / "loop").symlink_to("loop")
    (inbox / "up").symlink_to("..")
    (inbox / "proc").symlink_to("/proc/self/root")
    for name in ("out", "chain", "dots", "loop", "up/secret.flac", f"proc{secret}", "up/in/up/secret.flac"):
        assert contents(f"{inbox}/{name}", inbox) is None
    (inbox / "inside").symlink_to("true.flac")
    (inbox / "true.flac").write_bytes(b"true")
    assert contents(f"{inbox}/inside", inbox) == b"true"


def test_unicode_names_are_taken_as_they_are(tmp_path: Path) -> None:
    """Two spellings of one letter are two files; neither stands for the other, and prefixes are not folded."""
    composed, decomposed = tmp_path / "\u00e9", tmp_path / "e\u0301"
    composed.mkdir()
    decomposed.mkdir()
    (composed / "a.flac").write_bytes(b"composed")
    (decomposed / "a.flac").write_bytes(b"decomposed")
    assert contents(f"{composed}/a.flac", composed) == b"composed"
    assert contents(f"{decomposed}/a.flac", composed) is None
    assert contents(f"file://{tmp_path}/%C3%A9/a.flac", composed) == b"composed"


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Give the rest of the tests the logging they had."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    yield
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("name", ESCAPES)
def test_names_stay_on_their_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, log_format: Literal["json", "console"]
) -> None:
    """Whatever a name holds, the reason quotes it harmlessly, and the log line stays one line without escapes."""
    configure_logging(log_format, "info")
    for uri in (
        f"{tmp_path}/{name}.flac",
        f"file://{tmp_path}/{name}.flac",
        f"file://{name}/a",
        f"s3://b/{name}",
        f"s3://{name}/a",
        f"https://{name}/a",
        f"https://a:{name}/a",
        f"x{name}://a/b",
        f"x{name}:a",
    ):
        with pytest.raises(UnusableAudioError) as caught:
            AllowList(["/nowhere"]).admit(uri)
        assert caught.value.detail.isprintable()
        structlog.get_logger("worker.test").warning("decoder_lost", audio_uri=uri, detail=caught.value.detail)
        written = capsys.readouterr().err
        assert written.count("\n") == 1
        assert written[:-1].isprintable()


@pytest.mark.parametrize("name", ESCAPES)
def test_names_of_files_that_are_there(pool: DecoderPool, inbox: Path, write: Write, name: str) -> None:
    """A file with such a name is judged or refused like any other, and what is said of it can be printed."""
    path = inbox / f"{name}.flac"
    with contextlib.suppress(OSError, ValueError):  # where no file can be called this, none is there
        write(samples=1_000).rename(path)
    for uri in (str(path), str(inbox / f"{name}-missing.flac")):
        try:
            pool.read(uri, None)
        except UnusableAudioError as error:
            assert error.detail.isprintable()
            assert error.reason in {Reason.URI_NOT_ALLOWED, Reason.NOT_FOUND}


@pytest.mark.parametrize("name", [name for name in ESCAPES if "%" not in name])
def test_events_with_such_names(name: str) -> None:
    """Control characters in an event's fields make it a dead letter whose detail doesn't repeat them."""
    for field in ("delivery_id", "audio_uri", "provider", "label", "track_id"):
        try:
            check_delivery(dataclasses.replace(DELIVERY, **{field: f"/in/{name}"}))
        except BadEventError as error:
            assert error.detail.isprintable()


class _Redirects(BaseHTTPRequestHandler):
    """Sends every request on, with each status there is for it."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        status = int(self.path.split("/")[2].removesuffix(".flac"))
        self.send_response(status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/secret.flac")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def redirecting() -> Iterator[str]:
    """A server that only redirects."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_no_redirect_is_followed(redirecting: str, status: int) -> None:
    """A server that is allowed can't send the worker elsewhere, by any status, even to itself."""
    _Redirects.seen.clear()
    allow_list = AllowList([f"{redirecting}/in/"])
    uri = allow_list.admit(f"{redirecting}/in/{status}.flac")
    with pytest.raises(UnusableAudioError) as caught, open_object(uri, allow_list, Limits.of(make_settings()), None):
        pass
    assert caught.value.reason in {Reason.URI_NOT_ALLOWED, Reason.FETCH_FAILED}
    assert _Redirects.seen == [f"/in/{status}.flac"]


def test_no_other_spelling_of_the_host(redirecting: str) -> None:
    """Another name, a number or another port for the allowed address is not the allowed address."""
    allow_list = AllowList([f"{redirecting}/in/"])
    port = redirecting.rpartition(":")[2]
    for other in (f"localhost:{port}", f"2130706433:{port}", f"0x7f.1:{port}", f"127.0.0.1:{port}@evil", "127.0.0.1"):
        with pytest.raises(UnusableAudioError):
            allow_list.admit(f"http://{other}/in/a.flac")
