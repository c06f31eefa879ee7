"""How the evidence of an offset is scored against the other offsets."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.evidence import BANDS, CHANNELS, HALVES
from model.grid.statistics import OffsetScores

_LINE = 100  # the offset that stands out
_PARTS = 2 * HALVES  # each statistic in each half


def _scores(evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(OffsetScores()(evidence)))


def _evidence(line: float, slope: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(6)
    counts = rng.poisson(40.0, (1, _PARTS, 257, BANDS, CHANNELS)).astype(np.float32)
    counts += slope * np.linspace(0.0, 1.0, 257, dtype=np.float32)[:, None, None]
    counts[:, :, _LINE] += line
    counts[:, :, -1] = 1.0  # the weight of one hit
    return counts


@pytest.mark.parametrize(("line", "slope"), [(40.0, 0.0), (40.0, 400.0), (0.0, 400.0)])
def test_a_line_stands_out_and_a_slope_does_not(line: float, slope: float) -> None:
    """Guards the restraint: content that changes along the offsets is no grid."""
    found = line > 0.0
    scores = _scores(_evidence(line, slope))
    assert scores.shape == (1, _PARTS, 256)
    assert ((scores.argmax(axis=2) == _LINE) == found).all()
    assert ((scores.max(axis=2) > 12.0) == found).all()


def test_each_part_of_each_segment_is_scored_alone() -> None:
    """Guards the shape's way through: a line in one half must not show in the other, nor in the other statistic."""
    evidence = np.concatenate([_evidence(0.0, 0.0), _evidence(0.0, 0.0)])
    evidence[1, 2, _LINE] += 40.0
    standing_out = _scores(evidence).max(axis=2) > 12.0
    np.testing.assert_array_equal(standing_out, [[False] * 4, [False, False, True, False]])


def test_every_band_and_channel_counts() -> None:
    """Guards the sum: a codec quantises left/right or mid/side, band by band, so no cell may be left out."""
    for cell in np.ndindex(BANDS, CHANNELS):
        evidence = _evidence(0.0, 0.0)
        evidence[0, :, _LINE, *cell] += 800.0
        assert (_scores(evidence).argmax(axis=2) == _LINE).all(), cell


def test_one_chance_hit_is_no_line() -> None:
    """Guards the floor of the spread: with no other hits there is no spread to divide by."""
    evidence = np.zeros((1, _PARTS, 257, BANDS, CHANNELS), np.float32)
    evidence[:, :, 30, 2] = 5.0
    evidence[:, :, -1] = 5.0
    assert 0.1 < _scores(evidence).max() < 3.0
