"""Opus's lattice: on vectors made by hand, and on a note that leaves no holes and has the pitch filter on."""

import functools
import itertools

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid import celt_lattice
from model.grid.celt_kernel import lattice_kernel
from model.grid.celt_lattice import CeltLatticeEvidence
from model.grid.constants import CELT_PREEMPHASIS
from model.grid.evidence import HALVES
from model.grid.follow import FollowedFrames
from model.grid.mdct import celt_at_48k
from model.grid.statistics import OffsetScores
from tests.model.grid.conftest import Encode, encoder_of

_BANDS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
_LAYER = CeltLatticeEvidence(48_000, HALVES)
_VECTORS = 30
_ROWS = 40


def _array(tensor: object) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _pulses(seed: int, most: int) -> NDArray[np.float64]:
    """Vectors of whole numbers times a step each, by frequency: (rows, lines)."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-most, most + 1, (_ROWS, _VECTORS, 4))
    steps = 40.0 * 2.0 ** rng.uniform(-1.0, 1.0, (_ROWS, _VECTORS, 1))
    return np.asarray((whole * steps).reshape(_ROWS, -1))


def _by_element(lines: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., lines) by frequency to the layer's order."""
    split = lines.reshape(*lines.shape[:-1], _VECTORS, 4)
    return np.moveaxis(split, -1, -2).reshape(lines.shape).astype(np.float32)


def _near(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Score a vector of one channel on average, as 16 bit leave it."""
    rng = np.random.default_rng(9)
    pair = np.stack([left, right])
    pair = pair + 0.1 * rng.standard_normal(pair.shape)  # what rounding leaves of 0.29 before the pre-emphasis
    return float(_array(_LAYER.near(keras.ops.convert_to_tensor(_by_element(pair)))).mean()) / _VECTORS


def _noise(seed: int) -> NDArray[np.float64]:
    return 150.0 * np.random.default_rng(seed).standard_normal((_ROWS, 4 * _VECTORS))


def test_whole_numbers_of_any_step_are_found_and_noise_is_not() -> None:
    """Guards the score: coded channels count several times as much as what chance makes of the best of many steps."""
    chance = _near(_noise(1), _noise(2))
    assert _near(_pulses(3, 4), _pulses(4, 4)) > 3.0 * chance
    assert _near(_pulses(3, 4), _noise(2)) > 1.7 * chance


def test_a_gain_changes_nothing() -> None:
    """Guards what no other lattice outlives: the step is unknown anyway."""
    coded = _near(_pulses(3, 4), _pulses(4, 4))
    assert _near(0.7301 * _pulses(3, 4), 0.7301 * _pulses(4, 4)) == pytest.approx(coded, rel=0.05)


def test_a_coded_mid_is_found_behind_each_channels_level() -> None:
    """Guards notes in the middle: CELT scales left and right band by band after it has mixed them."""
    mid, side = _pulses(5, 4), _pulses(6, 1)
    left, right = np.empty_like(mid), np.empty_like(mid)
    rng = np.random.default_rng(7)
    for first, last in itertools.pairwise(_BANDS):
        band = slice(first - _BANDS[0], last - _BANDS[0])
        middle, beside = mid[:, band], side[:, band]
        # At right angles to each other, as CELT's unit vectors are on average: left and right are then of equal length.
        beside = beside - middle * (middle * beside).sum(axis=1, keepdims=True) / (middle**2).sum(axis=1, keepdims=True)
        for channel, sign in ((left, 1.0), (right, -1.0)):
            channel[:, band] = rng.uniform(0.5, 2.0, (_ROWS, 1)) * (middle + sign * beside)
    assert _near(left, right) > 1.5 * _near(_noise(1), _noise(2))


def test_silence_and_rounding_tell_nothing() -> None:
    """Guards silence: steps finer than the rounding are no steps."""
    nothing = np.zeros((_ROWS, 4 * _VECTORS))
    assert _near(nothing, nothing) < 0.2 * _near(_noise(1), _noise(2))


def test_the_kernel_is_celts_transform() -> None:
    """Guards the transform at 48 kHz: the search's own lines, before their level is set back to that of the samples."""
    layer = celt_at_48k(HALVES, "celt")
    at = np.round(layer.positions() * 960 - 0.5).astype(int)
    samples = np.random.default_rng(8).standard_normal((2, layer.needed)).astype(np.float32)
    wanted = np.stack([_array(layer.in_order(channel)) for channel in _array(layer.coefficients(samples))])
    kernel = lattice_kernel(1.0, tuple(at.tolist()))
    gain = np.abs(1.0 - CELT_PREEMPHASIS * np.exp(-1j * np.pi * (at + 0.5) / 960))
    offset = 500
    first = offset + 420 - 33  # the kernel begins with what its first sample is read from
    got = samples[:, first : first + len(kernel)] @ kernel
    np.testing.assert_allclose(got / gain, wanted[:, offset], atol=1e-3)


def test_a_followed_frame_is_the_searched_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards which samples a frame is cut from, with the pitch filter and without: one more would be another frame."""
    monkeypatch.setattr(celt_lattice, "_FOLLOWED_GAINS", (6, 7))
    samples = np.arange(_LAYER.needed)
    note = sum(np.cos(2.0 * np.pi * k * samples / 154.0 + k) / k for k in range(1, 9))
    noise = 1e-3 * np.random.default_rng(4).standard_normal(samples.size)
    stretch = np.stack([0.2 * note + noise, 0.1 * note], axis=1).astype(np.float32)
    searched = _array(_LAYER._one_stretch(keras.ops.convert_to_tensor(stretch)))[:-2, 0]
    offsets = [0, 0, 1, 500, 959, 959]
    cut = 32_768.0 * np.stack([stretch[at : at + _LAYER.window].T for at in offsets], axis=1)[:, :, None]
    followed = _array(_LAYER.frame_counts(keras.ops.convert_to_tensor(cut.astype(np.float32)))[0])[:, 0]
    np.testing.assert_allclose(followed, searched[offsets[1:-1]], rtol=0.02)


@pytest.fixture(scope="module")
def note() -> NDArray[np.int16]:
    """Two notes, two seconds each, with a quiet breath: steady enough for the pitch filter; stereo, 16 bit."""
    rng = np.random.default_rng(21)
    n = 2 * SEGMENT_SAMPLES
    seconds = np.arange(n) / 44_100.0
    pitch = np.where(seconds % 4.0 < 2.0, 311.0, 233.0)
    phase = 2.0 * np.pi * np.cumsum(pitch) / 44_100.0
    mono = sum(np.cos(k * phase + k * k) / k**0.7 for k in range(1, 13))
    sound = np.stack([mono, 0.8 * mono + 0.1 * np.roll(mono, 300)], axis=1) + 0.002 * rng.standard_normal((n, 2))
    return np.asarray(np.round(12_000.0 * sound / np.abs(sound).max()).astype(np.int16))


@pytest.fixture(scope="module")
def encode_note(note: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Return the encoder of the notes."""
    return encoder_of(note, tmp_path_factory.mktemp("notes"))


@functools.cache
def _networks(rate_hz: int) -> tuple[keras.Model, keras.Model]:
    """Search and follower of one grid, as graphs."""
    layer = CeltLatticeEvidence(rate_hz, 8)
    samples, rates = keras.Input((SEGMENT_SAMPLES, 2)), keras.Input((), dtype="int32")
    offsets = keras.Input((), dtype="int32")
    search = keras.Model([samples, rates], OffsetScores()(layer(samples, rates)))
    return search, keras.Model([samples, offsets, rates], FollowedFrames(layer)(samples, offsets, rates))


def _deviations(follower: keras.Model, samples: NDArray[np.float32], offset: int, rate_hz: int) -> float:
    sums = follower.predict([samples, np.array([offset], np.int32), np.array([rate_hz], np.int32)], verbose=0)[0, 0]
    return float((sums[:, 0] / np.sqrt(sums[:, 1])).min())


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_steady_notes_are_found_behind_the_pitch_filter(
    encode_note: Encode, note: NDArray[np.int16], rate_hz: int
) -> None:
    """Guards solo instruments as Opus at 256 kbit/s: searched and followed, and nowhere in the truth."""
    search, follower = _networks(rate_hz)
    decoded = encode_note("a.opus", "-c:a", "libopus", "-b:a", "256k", shift=20_000, rate_hz=rate_hz)
    rates = np.array([rate_hz], np.int32)
    scores = search.predict([decoded, rates], verbose=0)[0]
    weaker = scores.min(axis=0)
    there = int(weaker.argmax())
    frame = weaker.size
    assert weaker[there] > 6.5
    assert _deviations(follower, decoded, there, rate_hz) > 15.0
    assert abs(_deviations(follower, decoded, (there + 7) % frame, rate_hz)) < 5.0
    true = note[None, 20_000 : 20_000 + SEGMENT_SAMPLES].astype(np.float32) / 32_768.0
    assert search.predict([true, rates], verbose=0)[0].min(axis=0).max() < 4.5
    assert abs(_deviations(follower, true, there, rate_hz)) < 5.0


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_segments_of_the_other_rate_say_nothing(encode_note: Encode, rate_hz: int) -> None:
    """Guards the cost, and the meaning: 20 ms are another number of samples there."""
    search, follower = _networks(rate_hz)
    decoded = encode_note("a.opus", "-c:a", "libopus", "-b:a", "256k", shift=20_000, rate_hz=rate_hz)
    other = np.array([92_100 - rate_hz], np.int32)
    assert not search.predict([decoded, other], verbose=0).any()
    assert not follower.predict([decoded, np.array([5], np.int32), other], verbose=0).any()
