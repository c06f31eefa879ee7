"""Rows of scores as the search gives them, made by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.grid.combine import FOLLOWED, SHAPES, place
from model.grid.names import GRIDS

CHANCE = 6.0
"""The best of all offsets of plain noise stays below."""
EXACT, RELATIVE = 0, 1
STARTS = (0, 150_001, 401_237)
"""Of segments; modulo no frame alike."""
RATE_HZ = 44_100

Curves = Mapping[str, NDArray[np.float64]]


def noise(seed: int) -> dict[str, NDArray[np.float64]]:
    """Return what a segment without any grid scores: one array a grid; nothing where the search has the last word."""
    rng = np.random.default_rng(seed)
    return {grid: rng.standard_normal(SHAPES[grid]) * followed for grid, followed in zip(GRIDS, FOLLOWED, strict=True)}


def row_of(curves: Curves) -> NDArray[np.float64]:
    """Return one segment's row of scores, laid out as the network does it: grid after grid."""
    return np.concatenate([curves[grid].reshape(-1) for grid in GRIDS])


def rows_of(
    starts: Sequence[int], grid: str, at: int, levels: Sequence[Sequence[float]], statistic: int = EXACT
) -> NDArray[np.float64]:
    """Return noise with a line at the frame offset ``at`` from the start of the track; one level a half a segment."""
    rows = []
    for seed, (start, level) in enumerate(zip(starts, levels, strict=True)):
        curves = noise(seed)
        curves[grid][statistic, :, (at - place(grid, start, RATE_HZ)) % SHAPES[grid][-1]] = level
        rows.append(row_of(curves))
    return np.stack(rows)


def cell(table: NDArray[np.float64], grid: str, statistic: int) -> tuple[float, int]:
    """Return z and offset of one grid in one statistic."""
    z, offset = table[GRIDS.index(grid), 2 * statistic : 2 * statistic + 2]
    return float(z), int(offset)
