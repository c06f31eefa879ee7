"""From segments to a track."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from model.bitrate import FEATURES, BitrateScale
from model.constants import BITRATE_CLASSES, FAMILIES
from model.errors import ArtefactError
from model.grid.combine import COLUMNS, FINENESS
from model.grid.names import FAMILY_OF_GRID, GRIDS
from model.grid.track_search import TrackSearch
from model.pooling import Calibration, GridFinding, evidence, family_evidence, pool

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
    """Guards the order of families and bitrate logits, and that the bandwidth counts."""
    heads = _heads(2, family=5, bitrate=4)
    weights = np.zeros(FEATURES)
    weights[len(BITRATE_CLASSES) - 1], weights[len(BITRATE_CLASSES) + 2 * len(FAMILIES)] = 1.0, 0.5
    scale = BitrateScale(tuple(weights), 4.0)
    score = pool(np.array([3.0, 3.0]), *heads, Calibration(bitrate=scale), bandwidth_hz=22_000.0)
    assert score.family == "vorbis"
    assert score.bitrate_class == "GT_288"  # 2 ** (4 + (4 - 0.8) + 1.1) = 315 kbit/s
    lower = pool(np.array([3.0, 3.0]), *heads, Calibration(bitrate=scale), bandwidth_hz=16_000.0)
    assert lower.bitrate_class == "LE_288"  # 256 kbit/s
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
    calibration = Calibration(
        0.7, 2.5, -0.3, 1.5, 0.8, -65.0, BitrateScale(tuple(0.1 * i for i in range(FEATURES)), 7.0)
    )
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


def _search(
    exact: dict[str, float] | None = None,
    relative: dict[str, float] | None = None,
    segments: tuple[int, ...] = (0,),
    segment_z: tuple[float, ...] = (0.0,),
) -> TrackSearch:
    """A search in which the named grids stand out at offset 7 of the track and the others do not."""
    table = np.tile([3.0, 0.0], (len(GRIDS), COLUMNS // 2))
    for statistic, scores in enumerate((exact or {}, relative or {})):
        for name, z in scores.items():
            table[GRIDS.index(name), 2 * statistic : 2 * statistic + 2] = (z, 7.0)
    return TrackSearch(table, segments, tuple(1_000 * index for index in segments), np.array(segment_z), 44_100)


WITH_GRID = Calibration(slope=1.0, grid_slope=2.0, bias=-3.0, grid_family_weight=3.0)


def test_chance_is_no_evidence() -> None:
    """Guards true recordings: the best of thousands of offsets, up to 4 sigma, counts for nothing."""
    assert evidence(np.array([-9.0, 0.0, 4.0])).tolist() == [0.0, 0.0, 0.0]
    assert np.diff(evidence(np.array([4.0, 4.5, 8.0, 40.0, 400.0]))).min() > 0.0
    assert evidence(np.array(40.0)) == pytest.approx(math.asinh(36.0))
    without = pool(np.array([0.4]), *_heads(1), WITH_GRID)
    searched = pool(np.array([0.4]), *_heads(1), WITH_GRID, search=_search())
    assert (searched.probability, searched.family_scores) == (without.probability, without.family_scores)
    assert (without.grid is None, searched.grid is None) == (True, False)


@pytest.mark.parametrize(
    ("exact", "relative", "expected"),
    [
        ({"aac": 40.0}, {}, 2.0 * math.asinh(36.0)),
        ({}, {"aac": 40.0}, 2.0 * math.asinh(36.0)),
        # Of several grids and statistics the best counts, once.
        ({"aac": 40.0, "mp3": 9.5}, {"mp3": 9.5}, 2.0 * math.asinh(36.0)),
    ],
)
def test_a_frame_grid_speaks_for_a_lossy_history(
    exact: dict[str, float], relative: dict[str, float], expected: float
) -> None:
    """Guards sign and scale of the grid's evidence, and that the best counts, whichever statistic saw it."""
    found = pool(np.array([0.25]), *_heads(1), WITH_GRID, search=_search(exact, relative))
    assert found.probability == pytest.approx(1 / (1 + math.exp(-(0.25 + expected - 3.0))))


def test_the_grid_counts_once_a_track() -> None:
    """Guards long tracks: the search is of the whole track, so more segments must not multiply or dilute it."""
    one = pool(np.zeros(1), *_heads(1), WITH_GRID, search=_search({"aac": 9.0}))
    five = pool(np.zeros(5), *_heads(5), WITH_GRID, search=_search({"aac": 9.0}))
    assert five.probability == pytest.approx(one.probability)


@pytest.mark.parametrize("statistic", [0, 1])
def test_searched_segments_show_what_they_say_alone(statistic: int) -> None:
    """Guards the evidence of lossy parts: the grid raises the segments that show it, and no other."""
    scores: tuple[dict[str, float], dict[str, float]] = ({"aac": 40.0}, {"aac": 20.0})
    exact, relative = scores if statistic == 0 else scores[::-1]
    search = _search(exact, relative, segments=(2, 0), segment_z=(30.0, 1.0))
    assert search.best_statistic == statistic
    shown = pool(np.zeros(4), *_heads(4), WITH_GRID, search=search).segment_probabilities
    logits = [-math.log(1.0 / probability - 1.0) for probability in shown]
    assert logits == pytest.approx([-3.0, -3.0, -3.0 + 2.0 * math.asinh(26.0), -3.0])


def test_the_segment_that_shows_the_grid_best_is_named() -> None:
    """Guards the verdict's offset: it counts from the start of the segment that is named beside it."""
    search = _search({"mp3": 40.0}, segments=(4, 1, 3), segment_z=(2.0, 30.0, 8.0))
    score = pool(np.zeros(5), *_heads(5), WITH_GRID, search=search)
    assert score.grid == GridFinding("mp3", 40.0, (7 - 1_000) % 576, 1)


@pytest.mark.parametrize("statistic", [0, 1])
def test_the_family_of_the_grid_is_named(statistic: int) -> None:
    """Guards the order of grids and families: each grid's own family, or codec of none, wins over the head's guess."""
    for name, family in FAMILY_OF_GRID.items():
        search = _search(**{("exact", "relative")[statistic]: {name: 300.0}})
        score = pool(np.array([0.0]), *_heads(1, family=3), WITH_GRID, search=search)
        assert score.family == (family or name)
        assert score.grid == GridFinding(name, 300.0, 7 // FINENESS[name], 0)


def test_a_codec_of_no_family_counts_and_leaves_the_families_alone() -> None:
    """Guards DTS: it raises the probability as any grid does, and the families' scores stay the head's."""
    heads = _heads(1, family=3)
    plain = pool(np.array([0.0]), *heads, WITH_GRID)
    seen = pool(np.array([0.0]), *heads, WITH_GRID, search=_search({"dts": 40.0, "aac": 3.0}))
    assert seen.probability > plain.probability
    assert seen.family_scores == plain.family_scores
    weak = pool(np.array([0.0]), *heads, WITH_GRID, search=_search({"dts": 6.0}))
    assert weak.family == plain.family


def test_a_family_is_worth_its_best_grid() -> None:
    """Guards families with several grids: neither their sum nor the last one counts, whichever statistic saw it."""
    found = family_evidence(_search({"aac": 40.0, "aac_short": 9.5, "wma": 7.0}, {"aac_sine": 9.5}))
    expected = np.zeros(len(FAMILIES))
    expected[FAMILIES.index("aac")] = math.asinh(36.0)
    expected[FAMILIES.index("wma")] = math.asinh(3.0)
    np.testing.assert_allclose(found, expected)
    assert not family_evidence(None).any()


def test_a_search_of_other_segments_is_refused() -> None:
    """Guards against the search of one track and the logits of another."""
    with pytest.raises(ValueError, match="segment 3 was searched"):
        pool(np.zeros(3), *_heads(3), WITH_GRID, search=_search(segments=(3,)))
