"""Every shape a delivery may have, through real decoder children: bit-exact, or the named reason.

Rates, channels, depths and lengths beside the few of `test_read_files`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.framing import plan_windows, to_segment, window_samples
from tests.worker.audio.conftest import Refused, make_settings, noise, with_total_samples
from tests.worker.audio.flac_writer import crc16, write_flac
from worker.audio.decoder_pool import DecoderPool
from worker.audio.flac_frames import crc8
from worker.constants import GIB, MAX_RATE_HZ, MIN_RATE_HZ
from worker.records import Decoder, Reason

RATES_HZ = [
    MIN_RATE_HZ,
    11_025,
    12_000,
    16_000,
    22_050,
    24_000,
    32_000,
    44_056,
    44_100,
    48_000,
    64_000,
    88_200,
    96_000,
    176_400,
    192_000,
    352_800,
    MAX_RATE_HZ,
]


def check(pool: DecoderPool, path: Path, rate_hz: int, total: int) -> Decoder | None:
    """Every window equals a decode of the whole file; gives the decoder."""
    audio = pool.read(str(path), None)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0]
    windows = plan_windows(total, rate_hz, 3)
    assert (audio.facts.sample_rate_hz, audio.facts.total_samples) == (rate_hz, total)
    assert len(audio.segments) == len(windows)
    for window, segment in zip(windows, audio.segments, strict=True):
        expected = to_segment(whole[window.start : window.start + window.length], rate_hz)
        np.testing.assert_array_equal(expected, segment)
    return audio.facts.decoder


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_rates(pool: DecoderPool, inbox: Path, rate_hz: int) -> None:
    """All usual rates from 8 to 384 kHz, and one of a slowed-down film; FLAC and WAV in turn."""
    total = window_samples(rate_hz) + 1_000
    kind = ("FLAC", "WAV")[rate_hz // 1_000 % 2]
    path = inbox / f"{rate_hz}-hz"
    soundfile.write(path, noise(total, 1), rate_hz, format=kind, subtype="PCM_16")
    assert check(pool, path, rate_hz, total) == Decoder.TENSORFLOW_IO


@pytest.mark.parametrize("rate_hz", [MIN_RATE_HZ - 1, MAX_RATE_HZ + 10, 1, 655_350])
@pytest.mark.parametrize("kind", ["FLAC", "WAV"])
def test_rates_out_of_range(refused: Refused, inbox: Path, rate_hz: int, kind: str) -> None:
    """The next rate a FLAC can name beyond either end is one too many."""
    path = inbox / f"{rate_hz}-{kind}"
    soundfile.write(path, noise(1_000, 1), rate_hz, format=kind, subtype="PCM_16")
    error = refused(path)
    assert error.reason == Reason.UNSUPPORTED_FORMAT
    assert f"{rate_hz} Hz" in error.detail


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_24"), ("WAVEX", "PCM_32"), ("RF64", "FLOAT")])
def test_channels(pool: DecoderPool, inbox: Path, kind: str, subtype: str, channels: int) -> None:
    """One to eight channels, by each of the two libraries."""
    total = SEGMENT_SAMPLES + 1_000
    path = inbox / f"{channels}-{kind}"
    soundfile.write(path, noise(total, channels), 48_000, format=kind, subtype=subtype)
    expected = Decoder.TENSORFLOW_IO if kind == "FLAC" else Decoder.LIBSNDFILE
    assert check(pool, path, 48_000, total) == expected


@pytest.mark.parametrize("samples", [1, 2, 15, 16, 17, 4_095, 4_096, 4_097, SEGMENT_SAMPLES - 1])
@pytest.mark.parametrize(("kind", "subtype"), [("FLAC", "PCM_16"), ("WAV", "PCM_24"), ("RF64", "DOUBLE")])
def test_lengths_below_a_segment(pool: DecoderPool, inbox: Path, kind: str, subtype: str, samples: int) -> None:
    """From one sample on a file is read for what it is: too short to judge, not damaged."""
    path = inbox / f"{samples}-{kind}"
    soundfile.write(path, noise(samples, 2), 44_100, format=kind, subtype=subtype)
    assert check(pool, path, 44_100, samples) is None


@pytest.mark.parametrize("samples", [SEGMENT_SAMPLES, SEGMENT_SAMPLES + 1, 2 * SEGMENT_SAMPLES])
@pytest.mark.parametrize("kind", ["FLAC", "WAV", "RF64"])
def test_lengths_of_just_a_segment(pool: DecoderPool, inbox: Path, kind: str, samples: int) -> None:
    """The first and the last sample of a file are within reach of a window."""
    path = inbox / f"{samples}-just-{kind}"
    soundfile.write(path, noise(samples, 2), 44_100, format=kind, subtype="PCM_16")
    assert check(pool, path, 44_100, samples) is not None


@pytest.mark.parametrize("depth", [4, 5, 8, 11, 12, 15, 16, 19, 20, 24, 31, 32])
def test_depths_of_flac(pool: DecoderPool, inbox: Path, depth: int) -> None:
    """Every depth has a decoder that reads it bit for bit."""
    limit = 1 << (depth - 1)
    samples = np.random.default_rng(depth).integers(-limit, limit, (SEGMENT_SAMPLES, 1))
    path = inbox / f"{depth}-bit.flac"
    path.write_bytes(write_flac(samples, 44_100, depth, block=4_096))
    audio = pool.read(str(path), None)
    expected = np.repeat((samples / limit).astype(np.float32), 2, axis=1)
    np.testing.assert_array_equal(expected[None], audio.segments)
    assert audio.facts.bit_depth == depth


def sparse_wav(path: Path, hours: float, rate_hz: int = 44_100, *, is_64_bit: bool = False) -> int:
    """Write hours of stereo silence that take no room on the disk, with a mark in the middle; gives its length."""
    total = int(hours * 3600 * rate_hz)
    data_bytes = total * 4
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate_hz, rate_hz * 4, 4, 16)
    if is_64_bit:
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, data_bytes + 72, data_bytes, total, 0)
        head = b"RF64\xff\xff\xff\xffWAVE" + ds64 + fmt + b"data\xff\xff\xff\xff"
    else:
        head = struct.pack("<4sI4s", b"RIFF", data_bytes + 36, b"WAVE") + fmt + struct.pack("<4sI", b"data", data_bytes)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data_bytes)
        file.seek(len(head) + total // 2 * 4)
        file.write(mark().tobytes())
    return total


def mark() -> NDArray[np.int16]:
    """What stands in the middle."""
    return (noise(1_000, 2) * 32_000).astype(np.int16)


@pytest.fixture(scope="module")
def patient_pool(inbox: Path) -> Iterator[DecoderPool]:
    """One child that may read ten hours."""
    with DecoderPool(make_settings(inbox, max_duration_s=10 * 3600, max_object_bytes=16 * GIB)) as decoders:
        decoders.warm_up()
        yield decoders


@pytest.mark.parametrize(("hours", "is_64_bit"), [(3.3, False), (6.7, False), (10.0, True)])
def test_hours_are_read_in_slices(patient_pool: DecoderPool, inbox: Path, hours: float, *, is_64_bit: bool) -> None:
    """Below and above 2 GiB, and above 4: hours cost no more than their windows, which lie where they should."""
    path = inbox / f"{hours}-{is_64_bit}.wav"
    total = sparse_wav(path, hours, is_64_bit=is_64_bit)
    audio = patient_pool.read(str(path), None)
    window = plan_windows(total, 44_100, 3)[1]
    at = total // 2 - window.start
    np.testing.assert_array_equal(mark().astype(np.float32) / 2**15, audio.segments[1][at : at + 1_000])
    assert audio.facts.duration_s == pytest.approx(hours * 3600)


@pytest.mark.parametrize("hours", [6.001, 10.0])
def test_more_hours_than_allowed(refused: Refused, inbox: Path, hours: float) -> None:
    """Ten hours are refused for their length, before they are read."""
    path = inbox / f"{hours}-hours.wav"
    sparse_wav(path, hours, 8_000)
    error = refused(path)
    assert error.reason == Reason.TOO_LONG
    assert "LOSSGATE_MAX_DURATION_S" in error.detail


def silent_flac(samples: int, rate_hz: int, block: int = 65_535) -> bytes:
    """Encode any length of silence into a few bytes a frame."""
    packed = rate_hz << 44 | 15 << 36 | samples
    out = bytearray(b"fLaC\x80\x00\x00\x22" + block.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big"))
    out += bytes(16)
    for number, start in enumerate(range(0, samples, block)):
        head = b"\xff\xf8\x70\x08" + chr(number).encode() + (min(block, samples - start) - 1).to_bytes(2, "big")
        frame = head + bytes([crc8(head)]) + bytes(3)  # a constant subframe of zero
        out += frame + crc16(frame).to_bytes(2, "big")
    return bytes(out)


def test_ten_hours_of_flac(patient_pool: DecoderPool, refused: Refused, inbox: Path) -> None:
    """A FLAC of ten hours: refused for its length by the usual limit, read in slices where it is allowed."""
    path, total = inbox / "ten-hours.flac", 10 * 3600 * 44_100
    path.write_bytes(silent_flac(total, 44_100))
    assert refused(path).reason == Reason.TOO_LONG
    audio = patient_pool.read(str(path), None)
    assert (audio.facts.total_samples, len(audio.segments)) == (total, 3)
    path.write_bytes(with_total_samples(path.read_bytes(), 0))
    assert patient_pool.read(str(path), None).facts.decoder == Decoder.LIBSNDFILE


@pytest.mark.parametrize(
    ("subtype", "depth"), [("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32), ("FLOAT", 32), ("DOUBLE", 64)]
)
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_wav_kinds(pool: DecoderPool, inbox: Path, kind: str, subtype: str, depth: int) -> None:
    """Plain, extensible and 64-bit WAV with integers and floats of every size."""
    path = inbox / f"{kind}-{subtype}.wav"
    soundfile.write(path, noise(SEGMENT_SAMPLES, 2), 96_000, format=kind, subtype=subtype)
    with path.open("ab") as file:  # chunks behind the audio are none of our business
        file.write(b"LIST\x04\x00\x00\x00INFO")
    assert pool.read(str(path), None).facts.bit_depth == depth
    check(pool, path, 96_000, SEGMENT_SAMPLES)
