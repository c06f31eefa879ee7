"""CELT's pitch filter: what it adds, at both rates, and the period of a note."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.celt_kernel import COMB_TAPS, SHORTEST_PERIOD
from model.grid.pitch_filter import PERIODS, PitchFilter

_STEPS = {48_000: 1.0, 44_100: 0.91875}
_TAPS = (*COMB_TAPS[:0:-1], *COMB_TAPS)


def _note(period: float, step: float, length: int) -> NDArray[np.float32]:
    """Eight partials at both channels' own levels: (2, length); ``period`` in samples at 48 kHz."""
    at = np.arange(length) / step
    mono = sum(np.cos(2 * np.pi * k * at / period + k) / k for k in range(1, 9))
    return (1_000.0 * np.stack([mono, 0.6 * mono])).astype(np.float32)


def _array(tensor: object) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("rate_hz", _STEPS)
@pytest.mark.parametrize("period", [15, 16, 38, 154, 1_022])
def test_what_is_added_are_five_samples_a_period_earlier(rate_hz: int, period: int) -> None:
    """Guards the filter against its definition, between samples at 44.1 kHz as well, at its shortest and longest."""
    step = _STEPS[rate_hz]
    pitch = PitchFilter(step)
    length = pitch.history + 300 + pitch.ahead
    at = np.arange(length) / step  # samples at 48 kHz
    angles = 2.0 * np.pi * np.array([0.004, 0.031, 0.11])[:, None]  # up to 5 kHz
    sound = np.cos(angles * at).sum(axis=0)
    wanted = sum(
        tap * np.cos(angles * (at - period - beside)).sum(axis=0)
        for tap, beside in zip(_TAPS, range(-2, 3), strict=True)
    )
    samples = keras.ops.convert_to_tensor(np.stack([sound, -sound]).astype(np.float32))
    added = _array(pitch.added(samples, period - SHORTEST_PERIOD))
    inner = slice(pitch.history, length - pitch.ahead)
    np.testing.assert_allclose(added, np.stack([wanted, -wanted])[:, inner], atol=2e-3)
    np.testing.assert_array_equal(_array(pitch.plain(samples)), _array(samples)[:, inner])


@pytest.mark.parametrize("rate_hz", _STEPS)
@pytest.mark.parametrize("period", [61.0, 154.3, 367.0, 582.0])
def test_a_note_has_its_period_or_one_sample_less(rate_hz: int, period: float) -> None:
    """Guards the search for it: twice the period is as much alike, and no period that CELT would take."""
    step = _STEPS[rate_hz]
    pitch = PitchFilter(step)
    note = _note(period, step, pitch.history + 2 * pitch.frame + pitch.ahead)
    found = _array(pitch.likely_periods(keras.ops.convert_to_tensor(note))) + SHORTEST_PERIOD
    assert found.tolist() == [round(period), round(period) - 1]


@pytest.mark.parametrize("sound", ["silence", "noise", "constant"])
def test_what_has_no_period_gets_one_that_can_be_read(sound: str) -> None:
    """Guards reading out of bounds: whatever is heard, the periods are two that there are."""
    pitch = PitchFilter(1.0)
    length = pitch.history + 2 * pitch.frame + pitch.ahead
    noise = 300.0 * np.random.default_rng(1).standard_normal((2, length))
    samples = {"silence": np.zeros((2, length)), "noise": noise, "constant": np.full((2, length), 32_767.0)}[sound]
    samples = samples.astype(np.float32)
    periods = _array(pitch.likely_periods(keras.ops.convert_to_tensor(samples)))
    assert periods.shape == (PERIODS,)
    assert np.isfinite(_array(pitch.added(keras.ops.convert_to_tensor(samples), int(periods[1])))).all()
