"""Damaged FLACs and WAVs through real decoder children: a named reason or the true samples, and the child lives.

A child that dies or runs into its deadline fails the test, whatever the verdict would be.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.framing import plan_windows, to_segment
from tests.cases import cases
from tests.mutations import mutated
from tests.worker.audio.conftest import make_settings, noise, with_total_samples
from tests.worker.audio.flac_writer import write_flac
from worker.audio.decoder_pool import DecoderPool
from worker.constants import MIB
from worker.exceptions import UnusableAudioError
from worker.records import DecodedAudio, Reason

SAMPLES = SEGMENT_SAMPLES + 4_000
NAMED = {
    Reason.CORRUPT,
    Reason.EMPTY,
    Reason.UNSUPPORTED_FORMAT,
    Reason.TOO_LONG,
}
_MOST_MEMORY = 1_000 * MIB  # of one child; some 600 are TensorFlow's


def encoded(kind: str, subtype: str, channels: int = 1, rate_hz: int = 44_100) -> bytes:
    """Little more than one segment; half of it silence, whose frames are nearly all header."""
    out = io.BytesIO()
    signal = noise(SAMPLES, channels) * 0.02
    signal[: SAMPLES // 2] = 0
    soundfile.write(out, signal, rate_hz, format=kind, subtype=subtype)
    return out.getvalue()


FLACS = [
    encoded("FLAC", "PCM_16"),
    encoded("FLAC", "PCM_S8", channels=2),
    encoded("FLAC", "PCM_24", channels=3, rate_hz=48_000),
    with_total_samples(encoded("FLAC", "PCM_16"), 0),
    with_total_samples(encoded("FLAC", "PCM_16"), SAMPLES + 1),
    b"ID3\x04\x00\x00\x00\x00\x00\x40" + bytes(64) + encoded("FLAC", "PCM_16"),
    write_flac(np.zeros((SAMPLES, 1), np.int64), 44_100, 20, block=4_096),
]
WAVS = [
    encoded("WAV", "PCM_16"),
    encoded("WAV", "PCM_U8", channels=2),
    encoded("WAVEX", "PCM_24"),
    encoded("WAV", "PCM_32"),
    encoded("WAV", "FLOAT"),
    encoded("WAV", "DOUBLE"),
    encoded("RF64", "PCM_16"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie."""
    return Path(tmp_path_factory.mktemp("mutated"))


@pytest.fixture(scope="module")
def decoders(folder: Path) -> Iterator[DecoderPool]:
    """One child, which all files go through."""
    with DecoderPool(make_settings(folder, decode_deadline_s=60)) as pool:
        pool.warm_up()
        yield pool


def peak_bytes(pool: DecoderPool) -> int:
    """Most memory the child ever held."""
    with pool._lock:  # a child is replaced after some hundred files
        children = list(pool._children)
    lines = [line for child in children for line in Path(f"/proc/{child.pid}/status").read_text("utf-8").splitlines()]
    return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def read_or_refused(pool: DecoderPool, path: Path, data: bytes) -> DecodedAudio | None:
    """Read a file; None where it is refused with a reason that fits."""
    path.write_bytes(data)
    try:
        audio = pool.read(str(path), None)
    except UnusableAudioError as error:
        assert error.reason in NAMED
        assert error.detail.endswith(".")
        assert len(error.detail) < 500
        assert error.detail.isprintable()
        audio = None
    assert peak_bytes(pool) < _MOST_MEMORY
    return audio


def check_equals_libsndfile(data: bytes, audio: DecodedAudio) -> None:
    """Where libsndfile reads the whole file too, it finds the same samples in every window."""
    total, rate_hz = audio.facts.total_samples, audio.facts.sample_rate_hz
    whole = whole_by_libsndfile(data)
    if whole is None or whole.shape != (total, audio.facts.channels):
        return
    if audio.facts.container == "wav":
        whole = np.clip(np.nan_to_num(whole, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    windows = plan_windows(total, rate_hz, 3)
    expected = [to_segment(whole[each.start : each.start + each.length], rate_hz) for each in windows]
    assert len(expected) == len(audio.segments)
    for one, other in zip(expected, audio.segments, strict=True):
        np.testing.assert_array_equal(one, other)


def whole_by_libsndfile(data: bytes) -> NDArray[np.float32] | None:
    """Decode a file from its first sample to its last; None where that can't be done."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.frames > 10 * SAMPLES:  # a length that is a lie would be believed
                return None
            return np.asarray(file.read(dtype="float32", always_2d=True))
    except soundfile.LibsndfileError:
        return None


@cases(150)
@given(data=mutated(FLACS, hot=[4, 42, 42, 120, 400]))
def test_flac(decoders: DecoderPool, folder: Path, data: bytes) -> None:
    """Magic, STREAMINFO, metadata, frame headers, subframes, the end: whatever is hit."""
    audio = read_or_refused(decoders, folder / f"{os.getpid()}.flac", data)
    if audio is not None:
        check_equals_libsndfile(data, audio)


@cases(100)
@given(data=mutated(WAVS, hot=[12, 36, 44, 80, 120]))
def test_wav(decoders: DecoderPool, folder: Path, data: bytes) -> None:
    """RIFF and RF64 sizes, `fmt `, chunk names and lengths, the samples themselves."""
    audio = read_or_refused(decoders, folder / f"{os.getpid()}.wav", data)
    if audio is not None:
        check_equals_libsndfile(data, audio)


def test_the_originals_are_read(decoders: DecoderPool, folder: Path) -> None:
    """The files that are damaged above are good ones, but for the length that is made to lie."""
    for number, data in enumerate([*FLACS, *WAVS]):
        audio = read_or_refused(decoders, folder / f"original-{number}", data)
        assert (audio is None) == (data is FLACS[4])
        if audio is not None:
            assert audio.facts.total_samples == SAMPLES
            check_equals_libsndfile(data, audio)


def test_nothing_was_left_open(decoders: DecoderPool, folder: Path) -> None:
    """A hundred refused files cost the child no descriptor."""
    (child,) = decoders._children
    path, descriptors = folder / "left-open.flac", Path(f"/proc/{child.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for cut in range(100):
        read_or_refused(decoders, path, FLACS[cut % len(FLACS)][: 20 + 10 * cut])
    if child in decoders._children:  # it may just have been replaced, after some hundred files
        assert len(list(descriptors.iterdir())) <= before + 1
