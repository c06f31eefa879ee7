"""From the scores of several segments to what a track's frame grids say.  Pure; numpy.

A codec's frames follow each other without a break, so a track that was decoded once has one frame offset,
whatever segment is looked at.  Content has none: what stands out in one stretch stands elsewhere in the next.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.constants import ANALYSIS_RATES_HZ
from model.grid.evidence import HALVES
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS, RESAMPLED

Scores = NDArray[np.floating[Any]]
Table = NDArray[np.float64]
"""Shape (len(GRIDS), COLUMNS)."""
STATISTICS: Final = ("exact", "relative")
"""See ``OffsetEvidence``."""
_LAYERS = evidence_layers(0.0)
SHAPES: Final = {grid: (_LAYERS[grid].searched_statistics(), HALVES, _LAYERS[grid].offsets) for grid in GRIDS}
"""Shape of one segment's scores in each grid."""
FINENESS: Final = {grid: _LAYERS[grid].fineness for grid in GRIDS}
"""Frame offsets a sample."""
FOLLOWED: Final = np.array([_LAYERS[grid].is_followed for grid in GRIDS])
"""By index in ``GRIDS``: whether candidates are followed, or the search says all there is."""
SCORES: Final = sum(int(np.prod(shape)) for shape in SHAPES.values())
"""Length of one segment's row of scores."""
COLUMNS: Final = 2 * len(STATISTICS)
"""Of a search's table: z-score and offset, for each statistic."""
_MAD_TO_SIGMA: Final = 1.4826  # of a Gaussian
_CUT_OFF: Final = 2.0  # standard deviations
_REPEATED: Final = 0.8  # correlation of two segments' scores; different audio gives some 0.1
_SILENT: Final = 1e-9  # digital silence scores zero everywhere; that is like nothing
NEIGHBOURS: Final = 8
"""Samples to either side of a codec's frame that hear some of it."""
TELLING_OFFSETS: Final = 64
"""Of a grid.  Of fewer (MP2, DTS, SBC) the others do not tell how far chance spreads, and a codec's line itself makes
segments alike."""
SPREAD: Final = np.array([[2.0 if SHAPES[grid][-1] < TELLING_OFFSETS else 1.0] for grid in GRIDS])
"""Standard deviations that chance spreads at least, (len(GRIDS), 1).  Content favours some of few offsets by 4.4 and
5.3 in true validation recordings, where other grids reach 4.0; MP2's and DTS' decodes stand at 40 to 400 (measured)."""


def unpack(scores: Scores) -> dict[str, Scores]:
    """Cut rows of scores (k, SCORES) into one array a grid: (k, statistics, HALVES, offsets)."""
    cuts = np.cumsum([int(np.prod(shape)) for shape in SHAPES.values()])[:-1]
    parts = np.split(scores, cuts, axis=1)
    return {grid: part.reshape(-1, *SHAPES[grid]) for grid, part in zip(GRIDS, parts, strict=True)}


def _agreed(parts: Scores) -> Scores:
    """Add parts (p, offsets) that saw different audio, without the one that says most: (offsets,).

    One part alone proves nothing: the edge of a drum hit next to silence scores like a quantiser.  The rest is scaled
    to unit spread: that of independent parts, or what it really is where music repeats and parts are alike.
    """
    everything = parts.sum(axis=0) - parts.max(axis=0)
    spread = _MAD_TO_SIGMA * np.median(np.abs(everything - np.median(everything)))
    agreed: Scores = everything / max(np.sqrt(len(parts) - 1), spread)
    return agreed


def _correlations(rows: Scores) -> NDArray[np.float64]:
    """Return how alike each row of scores (k, offsets) is to each other one, cut off: (k, k)."""
    flat = np.clip(rows, -_CUT_OFF, _CUT_OFF)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat = flat / (np.sqrt((flat**2).sum(axis=1, keepdims=True)) + _SILENT)
    alike: NDArray[np.float64] = flat @ flat.T
    return alike


def place(grid: str, sample: int, rate_hz: int) -> int:
    """Return where a sample of the track lies in the grid's frame, in the grid's own steps.

    Args:
        grid: one of ``GRIDS``.
        sample: counted from the start of the track, at the analysis rate.
        rate_hz: that rate.
    """
    steps = sample * FINENESS[grid]
    if grid in RESAMPLED:
        steps = round(Fraction(steps * (sum(ANALYSIS_RATES_HZ) - rate_hz), rate_hz))
    return steps % SHAPES[grid][-1]


def _aligned(curves: Scores, shifts: Sequence[int]) -> Scores:
    """Count segments' frame offsets (k, ..., offsets) from the start of the track; they begin ``shifts`` offsets on."""
    return np.stack([np.roll(curve, shift, axis=-1) for curve, shift in zip(curves, shifts, strict=True)])


def _distinct(curves: Scores) -> Scores:
    """Leave out segments that repeat an earlier one at the same frame offset: (k, statistics, HALVES, offsets).

    A loop of a whole number of frames (a beat at 120 BPM is 25 of Opus') gives the same chance line each time.  What is
    compared are the scores of all offsets, cut off: a codec's line is one of hundreds and makes nothing alike.
    """
    if len(curves) == 1 or curves.shape[-1] < TELLING_OFFSETS:
        return curves
    alike = _correlations(curves.reshape(len(curves), -1))
    kept = [index for index in range(len(curves)) if not (alike[index, :index] > _REPEATED).any()]
    return curves[kept]


def track_curves(scores: Scores, starts: Sequence[int], rate_hz: int) -> dict[str, Scores]:
    """Add the segments of a track at their common frame offset.

    Args:
        scores: shape (k, SCORES), k >= 1.
        starts: k first samples of the segments, counted from the start of the track at the analysis rate.
        rate_hz: that rate.

    Returns:
        For each grid how far every frame offset, from the start of the track, stands out in each statistic: shape
        (statistics, offsets).  It does by what all segments say together, or by what one segment says in both its
        halves (an insert), whichever is more.
    """
    totals = {}
    for grid, curves in unpack(scores).items():
        statistics, _, offsets = SHAPES[grid]
        different = _distinct(_aligned(curves, [place(grid, start, rate_hz) for start in starts]))
        rows = []
        for statistic in range(statistics):
            parts = different[:, statistic]
            total = _agreed(parts.reshape(-1, offsets))
            for segment in parts if len(parts) > 1 else ():
                total = np.maximum(total, _agreed(segment))
            rows.append(total)
        totals[grid] = np.stack(rows)
    return totals


def table_of(curves: Mapping[str, Scores]) -> Table:
    """Return each grid's best frame offset: z and offset of the exact, then of the relative statistic."""
    table = np.zeros((len(GRIDS), COLUMNS))
    for row, grid in enumerate(GRIDS):
        for statistic, total in enumerate(curves[grid]):
            best = int(np.argmax(total))
            table[row, 2 * statistic : 2 * statistic + 2] = total[best], best
    return table


def likeness(scores: Scores, starts: Sequence[int], rate_hz: int) -> NDArray[np.float64]:
    """Return how alike different segments' scores are: the mean correlation of their frame offsets, at least 0.

    Content that begins anew says something else each time, so that segments add up like independent ones; loops whose
    length is a simple fraction of the frame's say the same.  What the best offset says is left out: a codec repeats
    itself, too.

    Args:
        scores: shape (k, SCORES), k >= 1.
        starts: as of ``track_curves``.
        rate_hz: as well.

    Returns:
        Shape (len(GRIDS), len(STATISTICS)); 0 where one segment or too few offsets can't tell.
    """
    found = np.zeros((len(GRIDS), len(STATISTICS)))
    pairs = np.triu_indices(len(scores), 1)
    for row, (grid, curves) in enumerate(unpack(scores).items()):
        statistics, _, offsets = SHAPES[grid]
        if len(scores) == 1 or offsets < TELLING_OFFSETS:
            continue
        whole = _aligned(curves, [place(grid, start, rate_hz) for start in starts]).sum(axis=2) / np.sqrt(HALVES)
        for statistic in range(statistics):
            apart = (np.arange(offsets) - int(whole[:, statistic].sum(axis=0).argmax())) % offsets
            rest = whole[:, statistic, np.minimum(apart, offsets - apart) > NEIGHBOURS * FINENESS[grid]]
            found[row, statistic] = max(0.0, float(_correlations(rest)[pairs].mean()))
    # The search hears relative holes of steady bands only, the follower those of all.
    return np.maximum.accumulate(found, axis=1)


def best_offsets(curves: Mapping[str, Scores], number: int) -> NDArray[np.int64]:
    """Return the frame offsets of each grid that stand out most, in either statistic: shape (number, len(GRIDS))."""
    ranked = []
    for grid in GRIDS:
        curve = curves[grid].max(axis=0)
        if FINENESS[grid] > 1:
            curve = _summits(curve, NEIGHBOURS * FINENESS[grid])
        ranked.append(np.argsort(-curve, kind="stable")[:number])
    return np.stack(ranked, axis=1).astype(np.int64)


def _summits(curve: Scores, reach: int) -> Scores:
    """Lower what is not the highest within ``reach`` offsets: parts of a sample stand out together, (offsets,).

    Else the best place's neighbours would be all that is followed, and none would be left to tell what chance does.
    """
    highest, covered = curve, 0
    while covered < reach:
        step = min(2 * covered + 1, reach - covered)
        highest = np.maximum(highest, np.maximum(np.roll(highest, step), np.roll(highest, -step)))
        covered += step
    return np.where(curve >= highest, curve, curve.min() - 1.0)


def alone(scores: Scores, grid: str, statistic: int, offsets: Sequence[int]) -> NDArray[np.float64]:
    """Return what each segment by itself says of one offset from its own start: (k,)."""
    curves = unpack(scores)[grid][:, statistic]
    return np.array([_agreed(curve)[offset] for curve, offset in zip(curves, offsets, strict=True)], dtype=np.float64)
