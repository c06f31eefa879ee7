"""Shared pieces of the detector's tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.artefact import Artefact, default_model_dir, load_artefact
from model.constants import SEGMENT_SAMPLES


def followed(
    follower: keras.Model, segment: NDArray[np.float32], offsets: NDArray[np.int64], rate_hz: int = 44_100
) -> NDArray[np.float64]:
    """Follow candidates (k, grids) through a segment (1, n, 2), row by row: other numbers would be traced anew."""
    rates = np.array([rate_hz], np.int32)
    cuts = [{"followed": segment, "offsets": row[None].astype(np.int32), "rate_hz": rates} for row in offsets]
    return np.concatenate([follower.predict_on_batch(cut)["frames"] for cut in cuts]).astype(np.float64)


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


@pytest.fixture(scope="session")
def released() -> Artefact:
    """The detector that ships; to trace its search and its follower takes half a minute each, once a run."""
    return load_artefact(default_model_dir())
