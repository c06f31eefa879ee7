"""Where the search looks."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.constants import MOMENT
from model.grid.stretches import moments_per_block, pick_stretches


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


def test_an_even_stretch_beats_louder_attacks() -> None:
    """Guards Opus in mixes with drums: blocks that hold attacks are loud all through, and coded as short ones."""
    hop = 5 * MOMENT
    scale = np.full(hop * 40, 0.01)
    for block in range(5, 15):
        scale[block * hop + MOMENT : (block + 1) * hop] = 0.6  # every block begins with a moment of quiet
    scale[hop * 20 : hop * 30] = 0.2
    samples = _noise(scale)
    loudest = _array(pick_stretches(samples, hop, 2 * hop, 1))
    even = _array(pick_stretches(samples, hop, 2 * hop, 1, even=True))
    assert np.abs(loudest).max() > 0.5
    assert 0.15 < np.abs(even).max() < 0.25


def test_silence_is_as_even_as_anything() -> None:
    """Guards the division: a segment of zeros has its stretches, too."""
    stretches = _array(pick_stretches(np.zeros((1, 64 * 100, 2), np.float32), 64, 128, 4, even=True))
    assert stretches.shape == (1, 4, 128, 2)
    assert not stretches.any()


@pytest.mark.parametrize(("hop", "parts"), [(32, 1), (256, 2), (576, 4), (882, 6), (960, 6), (1_024, 8)])
def test_a_block_has_whole_moments(hop: int, parts: int) -> None:
    """Guards the cut: Opus' 882 samples hold no whole number of 128."""
    assert moments_per_block(hop) == parts
