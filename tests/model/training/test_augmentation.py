"""Treatments of training crops."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.training import augmentation

RATE_HZ = 44_100


def _noise(samples: int = 8_192) -> NDArray[np.float32]:
    return (np.random.default_rng(3).standard_normal((samples, 2)) * 0.1).astype(np.float32)


def _level_above(samples: NDArray[np.float32], edge_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:, 0]))
    return float(spectrum[np.fft.rfftfreq(len(samples), 1.0 / RATE_HZ) > edge_hz].mean())


@pytest.mark.parametrize("name", sorted({*augmentation.TREATMENTS, *augmentation.CHAINS}))
def test_every_treatment_keeps_shape_and_follows_its_seed(name: str) -> None:
    """Guards that a group stays aligned and that one state of chance gives all its rows the same chain."""
    crop = _noise()
    first, second = (augmentation.augment(crop, RATE_HZ, name, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == crop.shape
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert not np.array_equal(first, crop)
    steps = first.astype(np.float64) * 32_768.0
    assert np.abs(steps - np.round(steps)).max() < 1e-3, "a 16-bit file could not hold it"


@pytest.mark.parametrize("resampler", augmentation.RESAMPLERS)
def test_resamplers_give_the_other_rate_and_keep_the_music(resampler: str) -> None:
    """Guards ratio and gain of every resampler: a wrong one would teach the network its own trace."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.repeat(np.sin(2.0 * np.pi * 1_000.0 * time_s)[:, None], 2, axis=1).astype(np.float32)
    there = augmentation.resample(tone, RATE_HZ, 48_000, resampler)
    assert abs(len(there) - 48_000) <= 1
    middle = there[1_000:-1_000, 0]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_resampling_back_leaves_time_where_it_was() -> None:
    """Guards against a shift of the crop, which would tear a group apart."""
    crop = _noise()
    low = augmentation.mastering.low_pass(crop, RATE_HZ, 8_000.0, np.random.default_rng(0))
    for seed in range(12):
        back = augmentation.resample_and_back(low, RATE_HZ, np.random.default_rng(seed))
        error = np.sqrt(np.mean((back[500:-500] - low[500:-500]) ** 2) / np.mean(low**2))
        assert error < 0.1, f"seed {seed}: {error:.3f} of the music is gone"


def test_high_passed_dither_puts_its_noise_where_its_filter_says() -> None:
    """Guards the filters: shaped dither must be louder above 15 kHz than plain dither."""
    silence = np.zeros((65_536, 2), dtype=np.float32)
    levels = [_level_above(augmentation.dither(silence, np.random.default_rng(seed)), 15_000.0) for seed in range(24)]
    assert max(levels) > 1.5 * min(levels)


def test_unknown_treatment_is_refused() -> None:
    """Guards that a misspelt name is no silent pass-through."""
    with pytest.raises(ValueError, match="no treatment 'louder'"):
        augmentation.augment(_noise(), RATE_HZ, "louder", np.random.default_rng(0))
