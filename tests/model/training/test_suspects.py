"""What a calibration is told of its own recordings."""

import numpy as np
from numpy.typing import NDArray

from model.grid.combine import COLUMNS
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch
from model.training.suspects import SUSPECT_GRID_SCORE, suspects
from tests.model.training.scored_items import scored


def _searched(z: float) -> TrackSearch:
    table: NDArray[np.float64] = np.zeros((len(GRIDS), COLUMNS))
    table[GRIDS.index("vorbis"), 2] = z
    return TrackSearch(table, (0,), (0,), np.array([z]), 44_100)


def test_true_recordings_with_a_codecs_grid_are_named() -> None:
    """Guards calibrations on a catalogue: a decode among its true recordings would make rejections rare."""
    items = [
        scored(0.0, lossy=False, group="band", search=_searched(SUSPECT_GRID_SCORE)),
        scored(0.0, lossy=False, group="choir", search=_searched(SUSPECT_GRID_SCORE - 0.1)),
        scored(0.0, lossy=True, group="known", search=_searched(50.0)),
        scored(0.0, lossy=False, group="unsearched"),
    ]
    (line,) = suspects(items)
    assert "band" in line
    assert "vorbis stands out by 8 sigma" in line
