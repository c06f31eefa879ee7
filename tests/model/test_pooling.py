"""From segments to a track."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES
from model.errors import ArtefactError
from model.grid.names import FAMILY_OF_GRID, GRIDS
from model.pooling import Calibration, GridFinding, pool

PLAIN = Calibration()


def _heads(count: int, family: int = 3, bitrate: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heads that all point at one family and one bitrate class."""
    families, bitrates = np.zeros((count, len(FAMILIES))), np.zeros((count, len(BITRATE_CLASSES)))
    families[:, family], bitrates[:, bitrate] = 4.0, 4.0
    return families, bitrates


def test_one_segment_is_a_plain_sigmoid() -> None:
    """Guards the formula against slope and bias being swapped or forgotten."""
    score = pool(np.array([2.0]), *_heads(1), Calibration(slope=0.5, bias=-2.0))
    assert score.probability == pytest.approx(1 / (1 + math.exp(1.0)))
    assert score.segment_probabilities == pytest.approx((score.probability,))


def test_heads_are_named() -> None:
    """Guards the order of families and bitrate classes."""
    score = pool(np.array([3.0, 3.0]), *_heads(2, family=5, bitrate=4), PLAIN)
    assert (score.family, score.bitrate_class) == ("vorbis", "GT_288")
    assert sum(score.family_scores.values()) == pytest.approx(1.0)
    assert tuple(score.family_scores) == FAMILIES


def test_silent_segments_do_not_drive_the_pool() -> None:
    """Guards against a long fade-out deciding: wild logits of silent segments change nothing."""
    families, bitrates = _heads(3)
    families[2], bitrates[2] = 0.0, 0.0
    families[2, 0], bitrates[2, 0] = 90.0, 90.0
    levels = np.array([-20.0, -18.0, -90.0])
    mixed = pool(np.array([-1.0, 1.5, 50.0]), families, bitrates, PLAIN, levels)
    alone = pool(np.array([-1.0, 1.5]), families[:2], bitrates[:2], PLAIN, levels[:2])
    assert mixed.probability == alone.probability
    assert mixed.family_scores == pytest.approx(alone.family_scores)
    assert len(mixed.segment_probabilities) == 3


def test_nothing_audible_gives_no_probability() -> None:
    """Guards against silence being accepted: the probability is NaN, which the policy reviews."""
    score = pool(np.array([-9.0, -9.0]), *_heads(2), PLAIN, np.array([-120.0, -99.0]))
    assert math.isnan(score.probability)
    assert sum(score.family_scores.values()) == pytest.approx(1.0)


def test_a_nan_logit_is_not_hidden() -> None:
    """Guards against a broken network being averaged away."""
    assert math.isnan(pool(np.array([1.0, math.nan]), *_heads(2), PLAIN).probability)


def test_lossier_segments_name_the_family() -> None:
    """Guards the weighting: a segment without traces does not outvote one with traces."""
    families, bitrates = np.zeros((2, len(FAMILIES))), np.zeros((2, len(BITRATE_CLASSES)))
    families[0, 0], families[1, 3] = 5.0, 5.0
    assert pool(np.array([-6.0, 6.0]), families, bitrates, PLAIN).family == "mp3"


def test_extreme_logits_stay_finite() -> None:
    """Guards against overflow in the logistic function."""
    assert pool(np.array([1e6]), *_heads(1), PLAIN).probability == 1.0
    assert pool(np.array([-1e6]), *_heads(1), PLAIN).probability == 0.0


@pytest.mark.parametrize("shape", [(0, 0), (2, 1)])
def test_shapes_must_fit(shape: tuple[int, int]) -> None:
    """Guards against outputs of different batches being pooled together."""
    with pytest.raises(ValueError, match="segment"):
        pool(np.zeros(shape[0]), *_heads(shape[1]), PLAIN)


def test_calibration_survives_json() -> None:
    """Guards the metadata's round trip."""
    calibration = Calibration(0.7, 2.5, -0.3, 1.5, 0.8, 2.0, -65.0)
    assert calibration == Calibration.from_json(json.loads(json.dumps(calibration.to_json())))


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 0.0},
        {"slope": -1.0},
        {"grid_slope": -0.1},
        {"bias": math.nan},
        {"bias": "0"},
        {"bias": True},
        {"extra": 1.0},
    ],
)
def test_a_bad_calibration_is_refused(change: dict[str, object]) -> None:
    """Guards against a calibration that would turn verdicts round or into NaN."""
    with pytest.raises(ArtefactError, match="calibration"):
        Calibration.from_json({**PLAIN.to_json(), **change})


def _grid(**scores: float) -> np.ndarray:
    """A grid search in which the named grids stand out at offset 7 and the others do not."""
    grid = np.tile([3.0, 0.0], (len(GRIDS), 1))
    for name, z in scores.items():
        grid[GRIDS.index(name)] = (z, 7.0)
    return grid


WITH_GRID = Calibration(slope=1.0, grid_slope=2.0, bias=-3.0, grid_family_weight=3.0)


def test_a_frame_grid_speaks_for_a_lossy_history() -> None:
    """Guards the sign and the scale of the grid's evidence: a line at z = 40 outweighs a doubtful spectrogram."""
    without = pool(np.array([0.0]), *_heads(1), WITH_GRID, grid=_grid())
    found = pool(np.array([0.0]), *_heads(1), WITH_GRID, grid=_grid(aac=40.0))
    expected = 2.0 * math.asinh(40.0 / 3.0) - 3.0
    assert found.probability == pytest.approx(1 / (1 + math.exp(-expected)))
    assert without.probability < 0.5 < found.probability


def test_the_family_of_the_grid_is_named() -> None:
    """Guards the order of grids and families: each grid's own family wins over the head's guess."""
    for name, family in FAMILY_OF_GRID.items():
        score = pool(np.array([0.0]), *_heads(1, family=3), WITH_GRID, grid=_grid(**{name: 300.0}))
        assert score.family == family
        assert score.grid == GridFinding(name, 300.0, 7)


def test_a_search_of_other_grids_is_refused() -> None:
    """Guards against a search and a pooling that belong to different releases."""
    with pytest.raises(ValueError, match="grid search has shape"):
        pool(np.array([0.0]), *_heads(1), WITH_GRID, grid=np.zeros((2, 2)))
