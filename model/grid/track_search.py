"""A track's segments are searched, and what looks best is followed, until something is clear.  Pure; numpy."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.constants import CLEAR_GRID_SCORE
from model.grid.combine import (
    FINENESS,
    FOLLOWED,
    SHAPES,
    SPREAD,
    TELLING_OFFSETS,
    Scores,
    Table,
    alone,
    best_offsets,
    likeness,
    place,
    table_of,
    track_curves,
)
from model.grid.following import CANDIDATES, CANDIDATES_EVERYWHERE, Follow, Following
from model.grid.names import GRIDS
from model.grid.rivals import AN_EQUAL, are_rivals

FOLLOWED_A_SEARCHED: Final = 2
"""Segments that are followed at most, for one that may be searched: following costs a quarter of a search."""
_NAMES_ONLY: Final = FOLLOWED & [FINENESS[grid] > 1 or SHAPES[grid][-1] < TELLING_OFFSETS for grid in GRIDS]
"""Grids whose search names candidates and proves nothing."""


@dataclass(frozen=True, slots=True)
class TrackSearch:
    """What the search found in a track."""

    table: Table
    """Shape (len(GRIDS), COLUMNS): z and offset of the exact, then of the relative statistic.  Offsets count from the
    start of the track, modulo the frame."""
    segments: tuple[int, ...]
    """Indices of the segments that say so: those searched or, where candidates were followed, those followed."""
    starts: tuple[int, ...]
    """Their first samples, from the start of the track, at the analysis rate."""
    segment_z: NDArray[np.float64]
    """Shape (len(segments),): how far each alone stands out at the best grid and offset."""
    rate_hz: int
    """The analysis rate."""
    followed: bool = False
    """Whether the table tells what following said; without a clear grid the search only names candidates."""

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
        """Return the best grid's frame offset from a segment that begins with sample ``start``.

        In the grid's own steps: of most grids samples, see ``combine.FINENESS``.
        """
        grid = GRIDS[self.best_grid]
        offset = int(self.table[self.best_grid, 2 * self.best_statistic + 1])
        return (offset - place(grid, start, self.rate_hz)) % SHAPES[grid][-1]


def search_track(
    run: Callable[[int], Scores],
    follow: Follow,
    order: Sequence[int],
    starts: Sequence[int],
    rate_hz: int,
    most: int | None,
) -> TrackSearch:
    """Search segments of a track one after another, then follow the best offsets, until something is clear.

    Args:
        run: searches the segment of that index; returns its row of scores (SCORES,).
        follow: reads all frames of the segment of that index at the offsets (k, len(GRIDS)) from its start; returns
            (k, len(GRIDS), STATISTICS, HALVES, 2), see ``FollowedFrames``.
        order: indices of segments, most promising first; not empty.
        starts: first sample of every segment of the track, at the analysis rate.
        rate_hz: that rate.
        most: segments that are searched at most, at least 1; None searches and follows them all, even where the first
            are clear.
    """
    chosen: list[int] = []
    rows: list[Scores] = []
    for index in order[:most]:
        chosen.append(index)
        rows.append(run(index))
        if most is None and len(chosen) < len(order):
            continue
        scores, begins = np.stack(rows), [starts[i] for i in chosen]
        curves = track_curves(scores, begins, rate_hz)
        found = TrackSearch(_sure(curves), tuple(chosen), tuple(begins), np.zeros(len(chosen)), rate_hz)
        if found.best_z >= CLEAR_GRID_SCORE:
            break
    if found.best_z >= CLEAR_GRID_SCORE:
        return _told_alone(found, scores)
    number = CANDIDATES if most is not None else CANDIDATES_EVERYWHERE
    following = Following(best_offsets(curves, number), likeness(scores, begins, rate_hz), rate_hz)
    followed = _follow(following, follow, order, starts, rate_hz, most)
    both = np.where(FOLLOWED[:, None], followed.table, found.table)
    searched = replace(found, table=both, followed=True)
    return replace(followed, table=both) if FOLLOWED[searched.best_grid] else _told_alone(searched, scores)


def _told_alone(found: TrackSearch, scores: Scores) -> TrackSearch:
    """Add what each segment's scores say alone, (k, SCORES), of the best grid's offset."""
    offsets = [found.offset_in(start) for start in found.starts]
    return replace(found, segment_z=alone(scores, GRIDS[found.best_grid], found.best_statistic, offsets))


def _sure(curves: Mapping[str, Scores]) -> Table:
    """Return the table of the grids whose search proves something; the others are blank.

    Those searched in parts of a sample, by angles of lines, only name candidates: the decay of a true piano's notes
    turned like an Opus frame's at 41 standard deviations; followed it said -18.  So do those of a few offsets (DTS' and
    MP2's 32) unless they can't be followed.  A pure tone stands out wherever its period begins (a saw of 16 samples in
    the grid of AAC by thousands): a grid with an equal far from its best offset has to be followed, too.
    """
    table = np.where(_NAMES_ONLY[:, None], 0.0, table_of(curves))
    table[:, 0::2] /= SPREAD
    for row, statistic in zip(*np.nonzero(table[:, 0::2] >= CLEAR_GRID_SCORE), strict=True):
        curve, best = curves[GRIDS[row]][statistic], int(table[row, 2 * statistic + 1])
        rivals = are_rivals(GRIDS[row], np.arange(curve.size), best)
        if curve[rivals].max(initial=0.0) > AN_EQUAL * curve[best]:
            table[row, 2 * statistic] = 0.0
    return table


def _follow(
    following: Following, follow: Follow, order: Sequence[int], starts: Sequence[int], rate_hz: int, most: int | None
) -> TrackSearch:
    """Follow the candidates through the segments, most promising first."""
    chosen: list[int] = []
    for index in order if most is None else order[: FOLLOWED_A_SEARCHED * most]:
        chosen.append(index)
        if most is not None and len(chosen) > 1:
            following.drop_the_weak()
        following.add(starts[index], functools.partial(follow, index))
        if most is not None and following.table()[:, 0::2].max() >= CLEAR_GRID_SCORE:
            break
    begins = tuple(starts[i] for i in chosen)
    found = TrackSearch(following.table(), tuple(chosen), begins, np.zeros(len(chosen)), rate_hz, followed=True)
    return replace(found, segment_z=following.alone(found.best_grid, found.best_statistic))
