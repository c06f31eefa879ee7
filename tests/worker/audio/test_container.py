"""Headers: the magic decides, and nothing is believed beyond the object's size."""

import contextlib
import io
import struct

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.audio.conftest import noise, with_total_samples
from worker.audio.container import check_duration, id3_bytes, parse_header
from worker.exceptions import UnusableAudioError
from worker.records import Reason


def encoded(
    kind: str = "FLAC", subtype: str = "PCM_16", rate_hz: int = 44_100, channels: int = 2, samples: int = 5000
) -> bytes:
    """Bytes of a file of noise."""
    out = io.BytesIO()
    soundfile.write(out, noise(samples, channels), rate_hz, format=kind, subtype=subtype)
    return out.getvalue()


def reason_of(data: bytes) -> tuple[Reason, str]:
    """The reason a header is refused for."""
    with pytest.raises(UnusableAudioError) as caught:
        parse_header(data, len(data))
    return caught.value.reason, caught.value.detail


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(
    ("kind", "subtype", "depth"),
    [
        ("FLAC", "PCM_S8", 8),
        ("FLAC", "PCM_16", 16),
        ("FLAC", "PCM_24", 24),
        ("WAV", "PCM_U8", 8),
        ("WAV", "PCM_16", 16),
        ("WAVEX", "PCM_24", 24),
        ("RF64", "PCM_32", 32),
        ("WAV", "FLOAT", 32),
        ("WAVEX", "DOUBLE", 64),
    ],
)
def test_reads_headers(kind: str, subtype: str, depth: int, channels: int) -> None:
    """Rate, channels, depth and length are what was written."""
    data = encoded(kind, subtype, 96_000, channels)
    info = parse_header(data[:4096], len(data))
    assert ("flac" if kind == "FLAC" else "wav", 96_000, channels, depth, 5000) == (
        info.container,
        info.rate_hz,
        info.channels,
        info.bit_depth,
        info.total_samples,
    )


@pytest.mark.parametrize(
    ("kind", "subtype", "trusted"),
    [
        ("FLAC", "PCM_16", True),
        ("WAV", "PCM_24", True),
        ("WAV", "FLOAT", True),
        ("WAV", "PCM_32", False),
        ("RF64", "PCM_16", False),
    ],
)
def test_names_what_tensorflow_io_reads(kind: str, subtype: str, *, trusted: bool) -> None:
    """tensorflow-io hands 32-bit PCM out as floats without an error, so it must never see it."""
    data = encoded(kind, subtype)
    assert trusted == parse_header(data, len(data)).tensorflow_io_reads


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\xfb\x90\x64" + bytes(400), "MP3"),
        (b"OggS" + bytes(400), "Ogg"),
        (bytes(4) + b"ftypM4A " + bytes(400), "M4A"),
        (b"<html>" + bytes(400), "HTML"),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(400), "no known kind"),
        (b"x", "no known kind"),
    ],
)
def test_names_what_it_is_instead(data: bytes, name: str) -> None:
    """The reviewer learns what was delivered in place of a FLAC."""
    reason, detail = reason_of(data)
    assert reason == Reason.UNSUPPORTED_FORMAT
    assert name in detail


def test_empty() -> None:
    """No bytes, no audio."""
    assert reason_of(b"")[0] == Reason.EMPTY


def test_cut_header() -> None:
    """A FLAC that ends inside STREAMINFO is corrupt, not unknown."""
    assert reason_of(encoded()[:30])[0] == Reason.CORRUPT


def test_cut_wav_says_how_much_is_missing() -> None:
    """The number of missing samples helps the label to find its mistake."""
    data = encoded("WAV")
    reason, detail = reason_of(data[:-400])
    assert reason == Reason.CORRUPT
    assert "100 of its 5,000" in detail


def test_streamed_wav_runs_to_the_end() -> None:
    """Recorders that can't seek leave the length open."""
    data = bytearray(encoded("WAV"))
    data[data.index(b"data") + 4 : data.index(b"data") + 8] = b"\xff" * 4
    assert parse_header(bytes(data), len(data)).total_samples == 5000


def test_compressed_wav_is_refused() -> None:
    """An MP3 in a WAV's clothes is no PCM."""
    data = bytearray(encoded("WAV"))
    struct.pack_into("<H", data, data.index(b"fmt ") + 8, 0x55)
    assert reason_of(bytes(data))[0] == Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("rate_hz", [4_000, 400_000])
def test_rates_out_of_range(rate_hz: int) -> None:
    """Rates outside 8 to 384 kHz are refused."""
    assert reason_of(encoded("WAV", rate_hz=rate_hz))[0] == Reason.UNSUPPORTED_FORMAT


def test_too_many_channels() -> None:
    """Nine channels are one too many."""
    assert reason_of(encoded("WAV", channels=9))[0] == Reason.UNSUPPORTED_FORMAT


def test_unknown_length() -> None:
    """A FLAC may leave its length open."""
    data = with_total_samples(encoded(), 0)
    assert parse_header(data, len(data)).total_samples is None


def test_too_long() -> None:
    """Tracks over the limit are refused, those at the limit are not."""
    check_duration(44_100 * 60, 44_100, 60)
    with pytest.raises(UnusableAudioError) as caught:
        check_duration(44_100 * 60 + 1, 44_100, 60)
    assert caught.value.reason == Reason.TOO_LONG


def test_id3_length() -> None:
    """The tag's size is written seven bits a byte, the header comes on top."""
    assert id3_bytes(b"ID3\x04\x00\x00\x00\x00\x08\x01" + bytes(20)) == 10 + 1025
    assert id3_bytes(b"fLaC" + bytes(20)) == 0


@given(st.binary(max_size=200), st.sampled_from([b"", b"fLaC", b"fLaC\x00\x00\x00\x22", b"RIFF\x00\x00\x00\x00WAVE"]))
def test_any_bytes_are_read_or_refused(data: bytes, magic: bytes) -> None:
    """No header makes the parser fail in another way."""
    try:
        info = parse_header(magic + data, len(magic + data))
    except UnusableAudioError:
        return
    assert info.channels in range(1, 9)


@given(st.integers(0, 3000), st.integers(0, 255))
def test_damaged_headers_are_read_or_refused(position: int, byte: int) -> None:
    """One wrong byte in a true file never escapes as another error."""
    for kind in ("FLAC", "WAV"):
        data = bytearray(encoded(kind, samples=1000))
        data[position % len(data)] = byte
        with contextlib.suppress(UnusableAudioError):
            parse_header(bytes(data), len(data))
