"""From followed candidates to what each grid's best offset is worth.  Pure; numpy."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.grid.combine import COLUMNS, FINENESS, NEIGHBOURS, SHAPES, SPREAD, Table, place
from model.grid.names import GRIDS, RESAMPLED
from model.grid.rivals import AN_EQUAL, are_rivals

Follow = Callable[[int, NDArray[np.int64]], NDArray[np.float64]]
"""Segment and offsets from its start (k, len(GRIDS)) to (k, len(GRIDS), STATISTICS, HALVES, 2)."""
CANDIDATES: Final = 8
"""Offsets of each grid that are followed in the first segment.  The true one was among the best 4 of a search of three
segments in 10 of 16 weak decodes, among the best 16 in all (measured, validation)."""
KEPT: Final = 2
"""Of them, in all further segments."""
CANDIDATES_EVERYWHERE: Final = 4
"""Where every segment is searched and followed."""
_MEDIAN_TO_SIGMA: Final = 1.0 / 0.6745  # of a Gaussian's absolute values
_USUAL_MEDIAN: Final = 1.0  # standard deviations; of independent scores it is 0.67
_SHORT_BLOCK: Final = 128  # samples; Vorbis and WMA move their frames by whole ones
_ENOUGH: Final = 4  # unrelated candidates
_FRAMES: Final = np.array([SHAPES[grid][-1] for grid in GRIDS])
# Vorbis' lattice is that of long blocks: what its candidates say tells nothing of holes in short ones.
_SHORT: Final = (_FRAMES == _SHORT_BLOCK) & (np.array(GRIDS) != "vorbis_lattice")
_REPEATING: Final = (_FRAMES == _SHORT_BLOCK) | (np.array(GRIDS) == "mp3_short")
"""Grids whose score of segments that are alike is scaled: many a beat is a simple multiple of 192 samples, too."""
_FINENESS: Final = np.array([FINENESS[grid] for grid in GRIDS])
_BEATS: Final = np.array(
    [grid.startswith("opus") or grid in {"dts", "mp3_short"} or grid in RESAMPLED for grid in GRIDS]
)
"""Grids whose frames a beat is a whole number of, and a sequencer repeats it to the sample: Opus' 20 ms at 100, 120,
125 or 150 BPM; MP3's 12 ms where 44.1 kHz are read as 48, at 125; MP3's short blocks, a true drum machine at 21,120
samples a beat: 7.5 sigma, 4.9 with segments that are alike scaled, 2.4 with its rivals heard as well (measured).  And
DTS, whose 32 offsets any short period tells apart."""
_BY_SEGMENT: Final = np.array(GRIDS) == "vorbis_lattice"
"""Grids of which one segment proves nothing, not even in both its halves: two dozen of its frames are read, a drum
machine has a few hits among them, and the same hit at the same place has the same lines (measured: 11 sigma in one
segment, less than 1 in three others)."""
_USUAL_RIVAL: Final = 3.0  # standard deviations; followed Opus decodes of 20 to 120 sigma have rivals of 1.1 to 2.6


class Following:
    """The candidates of a track and what its segments say of them so far."""

    def __init__(self, offsets: NDArray[np.int64], likeness: NDArray[np.float64], rate_hz: int) -> None:
        """Begin with nothing followed.

        Args:
            offsets: candidates from the start of the track, the best first: (candidates, len(GRIDS)).
            likeness: of different segments' scores, see ``combine.likeness``: (len(GRIDS), len(STATISTICS)).
            rate_hz: the analysis rate.
        """
        self._rate_hz = rate_hz
        self._offsets = offsets
        self._likeness = likeness
        self._kept = np.tile(np.arange(len(offsets))[:, None], (1, len(GRIDS)))
        self._parts: list[NDArray[np.float64]] = []
        """One a segment: (candidates, len(GRIDS), STATISTICS, HALVES, 2)."""

    def add(self, start: int, follow: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> None:
        """Follow the kept candidates through the segment that begins with sample ``start`` of the track."""
        columns = np.arange(len(GRIDS))
        begin = np.array([place(grid, start, self._rate_hz) for grid in GRIDS])
        answer = follow((self._offsets[self._kept, columns] - begin) % _FRAMES)
        part = np.zeros((*self._offsets.shape, *answer.shape[2:]))
        part[self._kept, columns] = answer
        self._parts.append(part)

    def drop_the_weak(self) -> None:
        """Keep those of each grid's candidates that stand out most in all parts together; to agree they need more."""
        strongest = _z(np.stack(self._parts).sum(axis=(0, 4))).max(axis=2)
        self._kept = np.argsort(-strongest, axis=0, kind="stable")[:KEPT]

    def table(self) -> Table:
        """Return z and offset of each grid's best candidate, in each statistic: (len(GRIDS), COLUMNS)."""
        scores = self._scores()
        best = scores.argmax(axis=0)
        table = np.zeros((len(GRIDS), COLUMNS))
        table[:, 0::2] = np.take_along_axis(scores, best[None], axis=0)[0]
        table[:, 1::2] = self._offsets[best, np.arange(len(GRIDS))[:, None]]
        return table

    def alone(self, grid: int, statistic: int) -> NDArray[np.float64]:
        """Return what each segment by itself says of a grid's best candidate: (segments,)."""
        best = int(self._scores()[:, grid, statistic].argmax())
        parts = np.array([_weaker_half(part[best, grid, statistic]) for part in self._parts])
        return parts / self._inflation()[grid, statistic]

    def _scores(self) -> NDArray[np.float64]:
        """Return how far each candidate stands out: (candidates, len(GRIDS), STATISTICS).

        By what all parts but the strongest say together, or by what one segment says in both its halves (an insert).
        """
        parts = self._all_parts()
        single = _weaker_half(parts).max(axis=-1)
        halves = _z(_without_strongest(parts.reshape(*parts.shape[:3], -1, 2)))
        segments = _z(_without_strongest(parts.sum(axis=4)))
        found = np.where(_BY_SEGMENT[:, None], segments, np.maximum(halves, single))
        scores: NDArray[np.float64] = found / self._inflation()
        return scores

    def _inflation(self) -> NDArray[np.float64]:
        """Return how much wider than one standard deviation chance spreads in this track, at least 1.

        Loops repeat their chance, too: where a beat is a whole number of frames, the same holes come back with every
        beat, and scores of all offsets grow as if there were that many independent ones (measured on a drum machine
        whose sixteenth is 35 * 256 samples: 3.5 sigma).  Most of the followed offsets are no codec's, so their median
        tells: of all grids, the segment in which they were chosen by itself, and of each grid in that segment.

        A length that is a simple fraction of 128 samples is nothing rare (147.5 of them in one drum loop), so the grids
        of short blocks are left out where all are asked, and have an account of their own: what their candidates tell
        of one segment, grown as it does when segments that are alike add up.

        Returns:
            Shape (len(GRIDS), STATISTICS).
        """
        parts = self._all_parts().sum(axis=4)
        first, others = parts[..., 0, :], parts[..., 1:, :].sum(axis=3)
        spreads = [np.abs(_z(sums))[sums[..., 1] > 0] for sums in (first[:, ~_SHORT], others[:, ~_SHORT])]
        whole = max([1.0, *(float(np.median(spread)) * _MEDIAN_TO_SIGMA for spread in spreads if spread.size)])
        each = np.array([self._inflation_of(grid, first) for grid in range(len(GRIDS))])
        for grid in range(len(GRIDS)):
            rival = max(self._rival(grid, first), self._rival(grid, first + others))
            each[grid] = max(each[grid], rival / _USUAL_RIVAL)
        together = np.sqrt(1.0 + (len(self._parts) - 1) * self._likeness)
        return np.maximum(whole, each[:, None] * np.where(_REPEATING[:, None], together, 1.0)) * SPREAD

    def _inflation_of(self, grid: int, sums: NDArray[np.float64]) -> float:
        """Return the same of one grid in one segment, from (candidates, grids, STATISTICS, 2); 1 where few can tell.

        What belongs to the best candidate is left out: its neighbours, and what lies whole short blocks away, where
        codecs that switch blocks have their other alignments.  A few values scatter: up to ``_USUAL_MEDIAN`` they say
        nothing.  The grids of short blocks hear the same repetition, so the candidates of all of them tell.
        """
        if _FRAMES[grid] < _SHORT_BLOCK:
            return 1.0
        best = self._offsets[int(_z(sums[:, grid]).max(axis=1).argmax()), grid]
        grids = np.flatnonzero(_SHORT) if _SHORT[grid] else [grid]
        apart = (self._offsets[:, grids] - best) // _FINENESS[grid] % _SHORT_BLOCK
        unrelated = sums[:, grids][np.minimum(apart, _SHORT_BLOCK - apart) > NEIGHBOURS]
        median = float(np.median(np.abs(_z(unrelated)))) if len(unrelated) >= _ENOUGH else 0.0
        usual = _USUAL_MEDIAN if len(unrelated) <= CANDIDATES else 0.0
        return max(1.0, median * _MEDIAN_TO_SIGMA) if median > usual else 1.0

    def _rival(self, grid: int, sums: NDArray[np.float64]) -> float:
        """Return what the second of a grid's offsets says, from (candidates, grids, STATISTICS, 2).

        A codec has one.  What a loop repeats with every beat stands out at several (measured on a drum machine at
        120 BPM: 9 and 8 sigma), though most say nothing; so does a tone whose period divides the frame.  0 where it
        does not count.
        """
        scores, offsets = _z(sums[:, grid]).max(axis=1), self._offsets[:, grid]
        rivals = are_rivals(GRIDS[grid], offsets, int(offsets[scores.argmax()]))
        rival = float(scores[rivals].max(initial=0.0))
        return rival if _BEATS[grid] or rival > AN_EQUAL * float(scores.max()) else 0.0

    def _all_parts(self) -> NDArray[np.float64]:
        """(candidates, grids, statistics, segments, halves, 2)."""
        return np.stack(self._parts, axis=3)


def _z(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 2) differences and variances to standard deviations (...); 0 where nothing was followed."""
    variance = sums[..., 1]
    return np.where(variance > 0, sums[..., 0] / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def _without_strongest(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(candidates, grids, statistics, parts, 2) to the sum of all but the part that says most: (..., 2)."""
    strongest = _z(parts).argmax(axis=-1)[..., None, None]
    rest: NDArray[np.float64] = parts.sum(axis=3) - np.take_along_axis(parts, strongest, axis=3)[..., 0, :]
    return rest


def _weaker_half(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., HALVES, 2) to what both halves say at least: (...)."""
    weaker: NDArray[np.float64] = _z(parts).min(axis=-1)
    return weaker
