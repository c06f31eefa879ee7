"""Where the search looks."""

import keras
import numpy as np
from numpy.typing import NDArray

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
