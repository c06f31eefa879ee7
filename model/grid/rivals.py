"""A codec's frames begin at one place; what stands out at several has a period of its own.  Pure; numpy."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.grid.combine import FINENESS, NEIGHBOURS, SHAPES

# Blocks a frame is cut into where encoders switch: a codec's other alignments lie whole ones away.
_BLOCKS: Final[Mapping[str, int]] = {
    "dts": 1,
    "mp2": 1,
    "mp3": 3,
    "mp3_lattice": 3,
    "mp3_resampled": 3,
    "mp3_short": 1,
    "sbc": 4,
    "vorbis_lattice": 1,
}
_BLOCKS_OF_OTHERS: Final = 8
_NEIGHBOURS: Final[Mapping[str, int]] = {"sbc": 0}
"""Where they are not ``NEIGHBOURS``: a sample beside SBC's blocks nothing is left of its lattices."""
AN_EQUAL: Final = 0.5
"""Of what the best offset says; a lesser rival may be an earlier coding of the same track."""


def are_rivals(grid: str, offsets: NDArray[np.integer[Any]], best: int) -> NDArray[np.bool_]:
    """Tell which offsets can't be the same codec's as the best one: neither beside it nor whole short blocks away.

    Args:
        grid: one of ``GRIDS``.
        offsets: in the grid's own steps, shape (k,).
        best: one of them.

    Returns:
        Shape (k,).
    """
    frame, fineness = SHAPES[grid][-1], FINENESS[grid]
    block = frame / fineness / _BLOCKS.get(grid, _BLOCKS_OF_OTHERS)
    apart = np.abs(offsets - best) / fineness % block
    return np.asarray(np.minimum(apart, block - apart) > _NEIGHBOURS.get(grid, NEIGHBOURS))
