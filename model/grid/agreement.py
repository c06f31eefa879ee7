"""Two segments of a track that show the same frame grid: the strongest evidence there is."""

from math import comb, log10

import numpy as np
from numpy.typing import ArrayLike


def shared_offset(offsets: ArrayLike, starts: ArrayLike, period: int) -> tuple[int, int]:
    """Return the grid offset that most segments share, and how many share it.

    Args:
        offsets: best offset of each segment in samples from its start; shape (k,), k >= 1.
        starts: the segments' starts in the track in samples at the analysis rate; shape (k,).
        period: samples after which the grid repeats.

    Returns:
        The offset in samples from the track's start, modulo ``period``, and the count.
    """
    absolute = (np.asarray(offsets, dtype=np.int64) + np.asarray(starts, dtype=np.int64)) % period
    values, counts = np.unique(absolute, return_counts=True)
    best = int(counts.argmax())
    return int(values[best]), int(counts[best])


def log10_chance(sharing: int, segments: int, period: int) -> float:
    """Return log10 of the chance (an upper bound) that so many random offsets coincide.

    0 for a single segment; about -2.9 for two of two with a period of 882.
    """
    ways = comb(segments, sharing) * float(period) ** (1 - sharing)
    return min(0.0, log10(ways))
