"""Decodes that equal their original: told from those that do not, wherever they were cut."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.training.unchanged import NEARLY_LOSSLESS, sixteen_bit, unchanged_share


@pytest.fixture(scope="module")
def original() -> NDArray[np.int16]:
    """A beat that comes again every 10,000 samples, over a little noise: wrong places look much like the right one."""
    rng = np.random.default_rng(1)
    beat = np.tile(rng.integers(-9_000, 9_000, (10_000, 2)), (5, 1))
    return np.asarray(beat + rng.integers(-30, 31, beat.shape), dtype=np.int16)


def test_a_cut_is_found_and_every_changed_sample_counts(original: NDArray[np.int16]) -> None:
    """Guards the alignment, and the share: one sample in eight is off by one step, in one channel."""
    cut = original[13_337:33_337].copy()
    assert unchanged_share(original, cut) == 1.0
    cut[::8, 1] += 1
    assert unchanged_share(original, cut) == pytest.approx(7 / 8)


def test_what_was_coded_is_not_taken_for_its_original(original: NDArray[np.int16]) -> None:
    """Guards the report: errors of a few steps are not nothing."""
    errors = np.random.default_rng(2).normal(0.0, 3.0, (20_000, 2))
    coded = np.round(original[5_000:25_000] + errors).astype(np.int16)
    assert unchanged_share(original, coded) < 0.1 < NEARLY_LOSSLESS


def test_deeper_samples_are_rounded_not_cut() -> None:
    """Guards 24 bit: what encoders were given is the nearest 16-bit value, within the range."""
    deep = np.array([[0, 32_767], [32_768, -32_769], [2**31 - 1, -(2**31)]], dtype=np.int32)
    assert sixteen_bit(deep).tolist() == [[0, 0], [0, -1], [32_767, -32_768]]
    assert sixteen_bit(deep.astype(np.int16)).dtype == np.int16
