"""Real encodings, made once a run."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from model.artefact import Artefact
from model.constants import SEGMENT_SAMPLES
from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.follow import FollowedFrames
from model.grid.statistics import OffsetScores
from tests.model.grid.drum_machine import drum_machine

Encode = Callable[..., NDArray[np.float32]]
ScoresOf = Callable[[NDArray[np.float32]], NDArray[np.float64]]
_MARGIN = 8_192  # samples cut off in front at most; the encoders' delay lies in it


def best_offset(layer: OffsetEvidence, samples: NDArray[np.float32]) -> tuple[float, int]:
    """Return the highest score of all offsets of the first segment, by its weaker half, and its offset."""
    scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(samples))))[0]
    weaker = scores.reshape(layer.searched_statistics(), HALVES, layer.offsets).min(axis=1).max(axis=0)
    return float(weaker.max()), int(weaker.argmax())


def followed_there_and_beside(
    layer: OffsetEvidence, segment: NDArray[np.float32], offset: int, apart: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what all frames of a segment (1, n, 2) say in each half, at an offset and ``apart`` samples later."""
    offsets = np.array([offset, offset + apart], np.int32) % layer.offsets
    sums = np.asarray(FollowedFrames(layer)(np.repeat(segment, 2, axis=0), offsets), dtype=np.float64)[:, 0]
    there, beside = sums[..., 0] / np.sqrt(sums[..., 1])
    return there, beside


def _rounded(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.round(samples * 32_767.0).astype(np.int16)


@pytest.fixture(scope="session")
def original() -> NDArray[np.int16]:
    """Return three seconds of dense stereo, 16 bit: decaying partials over pink-like noise."""
    rng = np.random.default_rng(5)
    n = SEGMENT_SAMPLES + 2 * _MARGIN
    seconds = np.arange(n) / 44_100.0
    noise = signal.lfilter([0.06], [1.0, -0.94], rng.standard_normal((n, 2)), axis=0) * 0.6
    tone = np.zeros(n)
    for start in np.arange(0.0, seconds[-1], 0.4):
        since = np.maximum(seconds - start, 0.0)
        pitch = 110.0 * 2.0 ** (rng.integers(0, 24) / 12.0)
        partials = sum(np.sin(2 * np.pi * pitch * k * since) / k for k in range(1, 30))
        tone += 0.12 * partials * np.exp(-4.0 * since) * (seconds >= start)
    mix = np.stack([tone, 0.7 * tone], axis=1) + noise
    return _rounded(0.5 * mix / np.abs(mix).max())


def encoder_of(pcm: NDArray[np.int16], folder: Path) -> Encode:
    """Return a function: ffmpeg arguments and a shift to a decoded segment (1, n, 2)."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()

    def run(name: str, *arguments: str, shift: int, rate_hz: int = 44_100) -> NDArray[np.float32]:
        coded = folder / name
        raw = ("-f", "s16le", "-ar", "44100", "-ac", "2")
        if not coded.exists():
            command = [ffmpeg, "-v", "error", *raw, "-i", "-", *arguments, str(coded)]
            subprocess.run(command, input=pcm.tobytes(), check=True)
        back = [ffmpeg, "-v", "error", "-i", str(coded), "-f", "s16le", "-ar", str(rate_hz), "-ac", "2", "-"]
        out = subprocess.run(back, check=True, capture_output=True).stdout
        decoded = np.frombuffer(out, np.int16).reshape(-1, 2)
        return decoded[None, shift : shift + SEGMENT_SAMPLES].astype(np.float32) / 32_768.0

    return run


@pytest.fixture(scope="session")
def encode(original: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Return the encoder of the dense stereo."""
    return encoder_of(original, tmp_path_factory.mktemp("encodings"))


@pytest.fixture(scope="session")
def encode_drums(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Return the encoder of drum hits with silence between, which encoders cut into short blocks."""
    pcm = _rounded(drum_machine(24, loops=2).astype(np.float64))
    return encoder_of(pcm, tmp_path_factory.mktemp("drums"))


@pytest.fixture(scope="session")
def dull() -> NDArray[np.int16]:
    """Return beats of noise below 4 kHz, stereo, 16 bit with dither."""
    rng = np.random.default_rng(11)
    n = 2 * SEGMENT_SAMPLES
    since = np.arange(n) % 22_050 / 44_100.0
    low = signal.butter(8, 4_000.0, fs=44_100, output="sos")
    sound = signal.sosfilt(low, rng.standard_normal((n, 2)), axis=0) * np.exp(-3.0 * since)[:, None]
    sound[:, 1] = 0.5 * sound[:, 1] + 0.5 * sound[:, 0]
    return _rounded(0.7 * sound / np.abs(sound).max() + rng.uniform(-0.5, 0.5, (n, 2)) / 32_767.0)


@pytest.fixture(scope="session")
def encode_dull(dull: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Return the encoder of the dull recording, which leaves few holes."""
    return encoder_of(dull, tmp_path_factory.mktemp("dull"))


@pytest.fixture(scope="session")
def untouched(original: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the original as a segment: (1, n, 2)."""
    return original[None, :SEGMENT_SAMPLES].astype(np.float32) / 32_768.0


@pytest.fixture(scope="session")
def equalise() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that lifts 3 kHz by 2 dB, lowers the whole and rounds to 16 bit: (1, n, 2) -> (1, n, 2)."""

    def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        gain, angle = 10.0 ** (2.0 / 40.0), 2.0 * np.pi * 3_000.0 / 44_100.0
        width = np.sin(angle) / 2.0
        above, below = [1 + width * gain, -2 * np.cos(angle), 1 - width * gain], width / gain
        bell = signal.lfilter(above, [1 + below, -2 * np.cos(angle), 1 - below], samples.astype(np.float64), axis=1)
        return np.asarray(_rounded(0.8 * bell).astype(np.float32) / 32_768.0)

    return run


@pytest.fixture(scope="session")
def search(released: Artefact) -> keras.Model:
    """The search of the product."""
    return released.search


@pytest.fixture(scope="session")
def scores_of(search: keras.Model) -> ScoresOf:
    """Return a function: a segment at 44.1 kHz (1, n, 2) to its row of scores; each is searched once a run."""
    known: dict[bytes, NDArray[np.float64]] = {}

    def scores(segment: NDArray[np.float32]) -> NDArray[np.float64]:
        key = hashlib.sha256(np.ascontiguousarray(segment)).digest()
        if key not in known:
            cut = {"samples": segment, "rate_hz": np.array([44_100], np.int32)}
            known[key] = np.asarray(search.predict_on_batch(cut)["grid_scores"][0], dtype=np.float64)
        return known[key]

    return scores


@pytest.fixture(scope="session")
def follower(released: Artefact) -> keras.Model:
    """The follower of the product."""
    return released.follower
