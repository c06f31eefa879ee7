"""Recordings that a calibration holds for true although a codec's frames show in them.

A fit believes what it is told.  Of 15 public repositories that pass every test of bandwidth three had such files, so
whoever calibrates on a catalogue is told, and looks.
"""

from collections.abc import Sequence

from model.constants import TELLING_GRID_SCORE
from model.grid.names import GRIDS
from model.training.scoring import ScoredItem


def suspects(scored: Sequence[ScoredItem]) -> list[str]:
    """Return a line on each item that is held for true and has a grid of ``TELLING_GRID_SCORE`` or more."""
    return [
        f"{one.bench.track.id} ({', '.join(one.bench.track.groups)}), {one.item.file}: held for true, but "
        f"{GRIDS[one.search.best_grid]} stands out by {one.search.best_z:.0f} sigma; if it was lossy once, take it out"
        for one in scored
        if not one.item.is_lossy and one.search is not None and one.search.best_z >= TELLING_GRID_SCORE
    ]
