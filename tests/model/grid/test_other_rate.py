"""A segment read at the other rate: the same sound, from the same first sample on."""

import numpy as np
import pytest

from model.constants import SEGMENT_SAMPLES
from model.grid.other_rate import OtherRate
from model.grid.sinc import HALF_SINC

_HERTZ = (1_000.0, 15_000.0)  # left and right


def _tones(count: int, rate_hz: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return two tones that begin at the first sample: (count, 2)."""
    return np.sin(2 * np.pi * np.arange(count)[:, None] / rate_hz * np.array(_HERTZ)).astype(np.float32)


@pytest.mark.parametrize(("rate_hz", "other_hz"), [(44_100, 48_000), (48_000, 44_100)])
def test_tones_are_the_same_at_the_other_rate(rate_hz: int, other_hz: int) -> None:
    """Guards the time axis to a fraction of a sample, over the whole segment: a frame's place is counted from it."""
    samples = np.stack([_tones(SEGMENT_SAMPLES, rate_hz)] * 2)
    read = np.asarray(OtherRate()(samples, np.array([rate_hz] * 2, np.int32)))
    assert read.shape == (2, OtherRate.length(SEGMENT_SAMPLES), 2)
    wanted = _tones(read.shape[1], other_hz)
    inside = slice(2 * HALF_SINC, -2 * HALF_SINC)  # the segment's edges lack a side
    for row in read:
        np.testing.assert_allclose(row[inside], wanted[inside], atol=3e-4)


def test_each_row_has_a_rate_of_its_own() -> None:
    """Guards batches: segments of tracks of both rates are searched together."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 32_768, 2)).astype(np.float32)
    layer = OtherRate()
    together = np.asarray(layer(samples, np.array([48_000, 44_100], np.int32)))
    for row, rate_hz in enumerate((48_000, 44_100)):
        alone = np.asarray(layer(samples[row : row + 1], np.array([rate_hz], np.int32)))
        np.testing.assert_array_equal(together[row], alone[0])
    assert not np.allclose(together[0], np.asarray(layer(samples[:1], np.array([44_100], np.int32)))[0])


@pytest.mark.parametrize("samples", [SEGMENT_SAMPLES, 32_768, 65_536])
def test_what_comes_out_lies_within_the_segment(samples: int) -> None:
    """Guards against silence read from behind the end, which would be full of holes."""
    assert OtherRate.length(samples) * 48_000 <= samples * 44_100
    assert OtherRate.length(samples) > 0.97 * samples * 44_100 / 48_000
