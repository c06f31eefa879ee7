"""From samples to segments."""

import itertools

import numpy as np
import pytest

from model.constants import SEGMENT_SAMPLES
from model.errors import FramingError
from model.framing import analysis_rate_hz, plan_windows, to_segment, window_samples

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 352_800)


@pytest.mark.parametrize(
    ("rate_hz", "expected"),
    [
        (44_100, 44_100),
        (88_200, 44_100),
        (352_800, 44_100),
        (22_050, 44_100),
        (11_025, 44_100),
        (48_000, 48_000),
        (96_000, 48_000),
        (32_000, 48_000),
        (50_000, 48_000),
    ],
)
def test_rates_keep_their_family(rate_hz: int, expected: int) -> None:
    """Guards the frame grid: 44.1 and 48 kHz material is never resampled into the other family."""
    assert expected == analysis_rate_hz(rate_hz)


@pytest.mark.parametrize("rate_hz", [0, -44_100])
def test_a_rate_must_be_positive(rate_hz: int) -> None:
    """Guards against a broken header turning into a plausible rate."""
    with pytest.raises(FramingError, match="positive"):
        analysis_rate_hz(rate_hz)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("max_windows", [1, 2, 5, 12])
@pytest.mark.parametrize("excess", [0, 1, 12_345, 5_000_000])
def test_windows_lie_inside_apart_and_in_order(rate_hz: int, max_windows: int, excess: int) -> None:
    """Guards the plan at every rate: inside the track, no overlap, never more than allowed."""
    total = window_samples(rate_hz) + excess
    windows = plan_windows(total, rate_hz, max_windows)
    assert 1 <= len(windows) <= max_windows
    assert windows[0].start >= 0
    assert windows[-1].start + windows[-1].length <= total
    for before, after in itertools.pairwise(windows):
        assert before.start + before.length <= after.start


def test_a_short_track_has_no_windows() -> None:
    """Guards the TOO_SHORT verdict: one sample less than a segment gives an empty plan."""
    assert plan_windows(SEGMENT_SAMPLES - 1, 44_100, 8) == ()


def test_windows_spread_over_the_track() -> None:
    """Guards against looking at the beginning only."""
    windows = plan_windows(100 * SEGMENT_SAMPLES, 44_100, 4)
    centres = [(w.start + w.length / 2) / (100 * SEGMENT_SAMPLES) for w in windows]
    assert pytest.approx(centres, abs=1e-6) == [0.125, 0.375, 0.625, 0.875]


@pytest.mark.parametrize(("rate_hz", "step"), [(88_200, 2), (96_000, 2), (176_400, 4), (192_000, 4), (352_800, 8)])
@pytest.mark.parametrize("excess", [1, 12_345, 987_653])
def test_windows_begin_with_whole_samples_of_the_analysis_rate(rate_hz: int, step: int, excess: int) -> None:
    """Guards the sum over segments: half a sample between two windows, and their frame grids would not agree."""
    windows = plan_windows(9 * window_samples(rate_hz) + excess, rate_hz, 7)
    assert len(windows) == 7
    assert [window.start % step for window in windows] == [0] * 7


def test_odd_rates_leave_windows_where_they_are() -> None:
    """Guards the spread: 50 kHz has no grid to keep, 44.1 kHz nothing to align."""
    for rate_hz in (44_100, 50_000):
        length = window_samples(rate_hz)
        windows = plan_windows(3 * length + 7, rate_hz, 1)
        assert windows[0].start == (2 * length + 7) // 2
        assert plan_windows(3 * length + 9, rate_hz, 1)[0].start == windows[0].start + 1


def test_no_window_allowed_is_an_error() -> None:
    """Guards against a setting of zero silently judging nothing."""
    with pytest.raises(FramingError, match="at least one"):
        plan_windows(10**7, 44_100, 0)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_planned_window_becomes_one_segment(rate_hz: int) -> None:
    """Guards the exact size after resampling, at every rate."""
    samples = np.full((window_samples(rate_hz), 2), 0.25, dtype=np.float32)
    segment = to_segment(samples, rate_hz)
    assert segment.shape == (SEGMENT_SAMPLES, 2)
    assert segment.dtype == np.float32
    # A constant stays constant up to both ends: the resampler's edges were cut away.
    assert np.abs(segment - 0.25).max() < 1e-3


def test_native_samples_are_untouched() -> None:
    """Guards the quantiser's traces: at 44.1 kHz the samples pass through bit by bit."""
    samples = np.random.default_rng(3).standard_normal((SEGMENT_SAMPLES, 2)).astype(np.float32)
    np.testing.assert_array_equal(to_segment(samples, 44_100), samples)


def test_mono_is_doubled_and_surround_reduced() -> None:
    """Guards the channel rules: mono twice, of six channels the front pair."""
    rng = np.random.default_rng(4)
    mono = rng.standard_normal((SEGMENT_SAMPLES, 1)).astype(np.float32)
    np.testing.assert_array_equal(to_segment(mono, 48_000), np.repeat(mono, 2, axis=1))
    six = rng.standard_normal((SEGMENT_SAMPLES, 6)).astype(np.float32)
    np.testing.assert_array_equal(to_segment(six, 48_000), six[:, :2])


@pytest.mark.parametrize("shape", [(SEGMENT_SAMPLES - 1, 2), (SEGMENT_SAMPLES,), (SEGMENT_SAMPLES, 0)])
def test_wrong_samples_are_refused(shape: tuple[int, ...]) -> None:
    """Guards against padding a truncated read with silence."""
    with pytest.raises(FramingError):
        to_segment(np.zeros(shape, dtype=np.float32), 44_100)
