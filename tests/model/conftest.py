"""Shared pieces of the detector's tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES


@pytest.fixture
def music() -> NDArray[np.float32]:
    """Two segments of something like music: a chord, ticks and noise, always the same."""
    rng = np.random.default_rng(11)
    seconds = np.arange(2 * SEGMENT_SAMPLES) / 44_100.0
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 277.2, 329.6, 4_000.0, 9_000.0))
    ticks = (np.arange(2 * SEGMENT_SAMPLES) % 11_025 < 300) * rng.standard_normal(2 * SEGMENT_SAMPLES) * 0.3
    hiss = rng.standard_normal((2 * SEGMENT_SAMPLES, 2)) * 0.01
    stereo = np.stack([chord + ticks, 0.8 * chord + 0.5 * ticks], axis=1) + hiss
    return stereo.astype(np.float32).reshape(2, SEGMENT_SAMPLES, 2)
