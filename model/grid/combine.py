"""From the scores of several segments to what a track's frame grids say.  Pure; numpy.

A codec's frames follow each other without a break, so a track that was decoded once has one frame offset,
whatever segment is looked at.  Content has none: what stands out in one stretch stands elsewhere in the next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.grid.evidence import HALVES
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS

Scores = NDArray[np.floating[Any]]
STATISTICS: Final = ("exact", "relative")
"""See ``OffsetEvidence``."""
_LAYERS = evidence_layers(0.0)
SHAPES: Final = {grid: (_LAYERS[grid].statistics, HALVES, _LAYERS[grid].offsets) for grid in GRIDS}
"""Shape of one segment's scores in each grid."""
SCORES: Final = sum(int(np.prod(shape)) for shape in SHAPES.values())
"""Length of one segment's row of scores."""
COLUMNS: Final = 2 * len(STATISTICS)
"""Of a search's table: z-score and offset, for each statistic."""
_MAD_TO_SIGMA: Final = 1.4826  # of a Gaussian
_CUT_OFF: Final = 2.0  # standard deviations
_REPEATED: Final = 0.8  # correlation of two segments' scores; different audio gives some 0.1
_SILENT: Final = 1e-9  # digital silence scores zero everywhere; that is like nothing
_TELLING_OFFSETS: Final = 64  # of a grid; with fewer (MP2) the codec's line itself makes segments alike
CLEAR: Final = 20.0
"""Standard deviations; a grid that stands out so far needs no second segment (unaltered audio: below 6)."""


@dataclass(frozen=True, slots=True)
class TrackSearch:
    """What the search found in a track."""

    table: NDArray[np.float64]
    """Shape (len(GRIDS), COLUMNS): z and offset of the exact, then of the relative statistic.  Offsets count from the
    start of the track, modulo the frame."""
    segments: tuple[int, ...]
    """Indices of the segments that were searched."""
    starts: tuple[int, ...]
    """Their first samples, from the start of the track, at the analysis rate."""
    segment_z: NDArray[np.float64]
    """Shape (len(segments),): how far each alone stands out at the best grid and offset."""

    @property
    def best_z(self) -> float:
        """The highest score of all."""
        return float(self.table[:, 0::2].max())

    @property
    def best_grid(self) -> int:
        """Index in ``GRIDS`` of the grid that has it."""
        return int(np.argmax(self.table[:, 0::2].max(axis=1)))

    @property
    def best_statistic(self) -> int:
        """Index in ``STATISTICS`` of the statistic that has it."""
        return int(np.argmax(self.table[:, 0::2].max(axis=0)))

    def offset_in(self, start: int) -> int:
        """Return the best grid's frame offset from a segment that begins with sample ``start``."""
        frame = SHAPES[GRIDS[self.best_grid]][-1]
        return int(self.table[self.best_grid, 2 * self.best_statistic + 1] - start) % frame


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


def _distinct(curves: Scores) -> Scores:
    """Leave out segments that repeat an earlier one at the same frame offset: (k, statistics, HALVES, offsets).

    A loop of a whole number of frames (a beat at 120 BPM is 25 of Opus') gives the same chance line each time.  What is
    compared are the scores of all offsets, cut off: a codec's line is one of hundreds and makes nothing alike.
    """
    if len(curves) == 1 or curves.shape[-1] < _TELLING_OFFSETS:
        return curves
    flat = np.clip(curves.reshape(len(curves), -1), -_CUT_OFF, _CUT_OFF)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat = flat / (np.sqrt((flat**2).sum(axis=1, keepdims=True)) + _SILENT)
    alike = flat @ flat.T
    kept = [index for index in range(len(curves)) if not (alike[index, :index] > _REPEATED).any()]
    return curves[kept]


def combine(scores: Scores, starts: Sequence[int]) -> NDArray[np.float64]:
    """Find each grid's best frame offset in all searched segments of a track.

    Args:
        scores: shape (k, SCORES), k >= 1.
        starts: k first samples of the segments, counted from the start of the track at the analysis rate.

    Returns:
        The table of ``TrackSearch``.  A grid stands out by what all segments say together, or by
        what one segment says in both its halves (an insert), whichever is more.
    """
    table = np.zeros((len(GRIDS), COLUMNS))
    for row, (grid, curves) in enumerate(unpack(scores).items()):
        statistics, _, offsets = SHAPES[grid]
        aligned = np.stack(
            [np.roll(curve, start % offsets, axis=-1) for curve, start in zip(curves, starts, strict=True)]
        )
        different = _distinct(aligned)
        for statistic in range(statistics):
            parts = different[:, statistic]
            total = _agreed(parts.reshape(-1, offsets))
            for segment in parts if len(parts) > 1 else ():
                total = np.maximum(total, _agreed(segment))
            best = int(np.argmax(total))
            table[row, 2 * statistic : 2 * statistic + 2] = total[best], best
    return table


def search_track(
    run: Callable[[int], Scores], order: Sequence[int], starts: Sequence[int], most: int | None
) -> TrackSearch:
    """Search the segments of a track one after another, until something is clear or ``most`` were searched.

    Args:
        run: searches the segment of that index; returns its row of scores (SCORES,).
        order: indices of segments, most promising first; not empty.
        starts: first sample of every segment of the track, at the analysis rate.
        most: segments that are searched at most, at least 1; None searches them all, even where the first are clear.
    """
    chosen: list[int] = []
    rows: list[Scores] = []
    for index in order[:most]:
        chosen.append(index)
        rows.append(run(index))
        if most is None and len(chosen) < len(order):
            continue
        table = combine(np.stack(rows), [starts[i] for i in chosen])
        if most is not None and table[:, 0::2].max() >= CLEAR:
            break
    searched = tuple(starts[i] for i in chosen)
    found = TrackSearch(table, tuple(chosen), searched, np.zeros(len(chosen)))
    return replace(found, segment_z=_each_alone(np.stack(rows), found))


def _each_alone(scores: Scores, found: TrackSearch) -> NDArray[np.float64]:
    """Return what each segment says at the best grid and offset of all: (k,)."""
    curves = unpack(scores)[GRIDS[found.best_grid]][:, found.best_statistic]
    alone = [_agreed(curve)[found.offset_in(start)] for curve, start in zip(curves, found.starts, strict=True)]
    return np.array(alone, dtype=np.float64)
