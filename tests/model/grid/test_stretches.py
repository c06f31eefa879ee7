"""Where the branch looks, and how it scores what it sees."""

import keras
import numpy as np
from numpy.typing import NDArray

from model.grid.evidence import BANDS, CHANNELS
from model.grid.statistics import FEATURES, PROFILES, BestOffset, OffsetScores, score_of
from model.grid.stretches import pick_stretches


def _array(tensor: object) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _noise(scale: NDArray[np.float64]) -> NDArray[np.float32]:
    samples = np.random.default_rng(4).uniform(-1.0, 1.0, (1, scale.size, 2)) * scale[None, :, None]
    return samples.astype(np.float32)


def test_loud_stretches_win_but_attacks_and_clipping_lose() -> None:
    """Guards the choice: steady and unclipped, or encoders had short blocks and decoders clipped."""
    scale = np.full(64 * 100, 0.01)
    scale[64 * 20 : 64 * 30] = 0.3  # steady
    scale[64 * 40] = 0.9  # an attack of one sample
    samples = _noise(scale)
    samples[0, 64 * 25 : 64 * 26] = 1.0  # clipped
    stretch = _array(pick_stretches(samples, 64, 192, 1))
    assert stretch.shape == (1, 1, 192, 2)
    assert stretch.min() < -0.25
    assert np.abs(stretch).max() < 0.5


def test_each_cell_gives_one_stretch() -> None:
    """Guards the spread: a loud second must not take every stretch of the segment."""
    scale = np.full(64 * 100, 0.01)
    scale[: 64 * 40] = 0.5
    stretches = _array(pick_stretches(_noise(scale), 64, 128, 4))
    assert (np.abs(stretches).max(axis=(0, 2, 3)) < 0.02).sum() >= 2


def _evidence(line: float, slope: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(6)
    counts = rng.poisson(40.0, (1, 257, BANDS, CHANNELS)).astype(np.float32)
    counts += slope * np.linspace(0.0, 1.0, 257, dtype=np.float32)[None, :, None, None]
    counts[0, 100] += line
    counts[0, -1] = 1.0  # the weight of one hit
    return counts


def test_a_line_stands_out_and_a_slope_does_not() -> None:
    """Guards the restraint: content that changes along the offsets is no grid."""
    for line, slope, found in ((40.0, 0.0, True), (40.0, 400.0, True), (0.0, 400.0, False)):
        evidence = _evidence(line, slope)
        scores = _array(OffsetScores()(evidence))
        features = _array(BestOffset()([scores, evidence]))
        assert features.shape == (1, len(FEATURES))
        assert (scores[0, :, PROFILES.index("all")].argmax() == 100) == found
        assert (score_of(features[0, 0]) > 12.0) == found


def test_one_chance_hit_is_no_line() -> None:
    """Guards the floor of the spread: with no other hits there is no spread to divide by."""
    evidence = np.zeros((1, 257, BANDS, CHANNELS), np.float32)
    evidence[0, 30, 2] = 5.0
    evidence[0, -1] = 5.0
    assert _array(OffsetScores()(evidence)).max() < 3.0
