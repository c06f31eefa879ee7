"""What following says of a track's segments, made by hand."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.grid.combine import FOLLOWED, SHAPES, place
from model.grid.evidence import HALVES
from model.grid.follow import STATISTICS
from model.grid.names import GRIDS
from tests.model.grid.score_rows import RATE_HZ

Lines = Mapping[tuple[str, int], Sequence[tuple[float, float]]]
"""By grid and offset from the start of the track: what the halves of each segment say, standard deviations."""


class FollowedTrack:
    """Answers as the follower does, in one statistic, and remembers what it was asked.

    Args:
        starts: first samples of the segments.
        lines: what stands out; everything else is noise.
        statistic: in which it does; the other says nothing.
        spread: of the noise, standard deviations.
    """

    def __init__(self, starts: Sequence[int], lines: Lines, statistic: int = 0, spread: float = 0.5) -> None:
        self._starts = starts
        self._lines = lines
        self._statistic = statistic
        self._spread = spread
        # Each grid has its own, so that a new one changes nothing of what the others say.
        self._rngs = [np.random.default_rng(zlib.crc32(grid.encode())) for grid in GRIDS]
        self.asked: list[tuple[int, NDArray[np.int64]]] = []
        """Segments and the offsets from their starts."""

    def __call__(self, index: int, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Follow some offsets a grid: (k, len(GRIDS)) to (k, len(GRIDS), STATISTICS, HALVES, 2)."""
        self.asked.append((index, offsets.copy()))
        shape = (*offsets.shape, STATISTICS, HALVES)
        noise = [rng.standard_normal((len(offsets), *shape[2:])) for rng in self._rngs]
        deviations = self._spread * np.stack(noise, axis=1)
        variances = np.full(shape, 4.0)
        for (grid, at), said in self._lines.items():
            column = GRIDS.index(grid)
            there = offsets[:, column] == (at - place(grid, self._starts[index], RATE_HZ)) % SHAPES[grid][-1]
            deviations[there, column, self._statistic] = said[index]
        deviations[:, ~FOLLOWED] = variances[:, ~FOLLOWED] = 0.0
        lattice = GRIDS.index("ac3_lattice")  # it has one statistic only
        deviations[:, lattice, 1] = variances[:, lattice, 1] = 0.0
        return np.stack([deviations * np.sqrt(variances), variances], axis=-1)
