"""Scored items of one segment, for fits."""

from pathlib import Path

import numpy as np

from model.constants import BITRATE_CLASSES, FAMILIES
from model.grid.combine import COLUMNS
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch
from model.training.bench import BenchTrack, Item
from model.training.scoring import ScoredItem
from model.training.tracks import Track


def scored(
    logit: float,
    *,
    lossy: bool,
    bandwidth_hz: float = 20_000.0,
    search: TrackSearch | None = None,
    group: str = "g",
) -> ScoredItem:
    """One segment with that logit."""
    item = Item("a.npy", "mp3" if lossy else "original", "a", 320.0, "", 44_100)
    bench = BenchTrack(Track("validation-0000", "validation", (group,), "mix", (), 44_100, 1, ""), (item,), Path())
    heads = np.zeros((1, len(FAMILIES))), np.zeros((1, len(BITRATE_CLASSES)))
    return ScoredItem(bench, item, np.array([logit]), *heads, np.array([-14.0]), bandwidth_hz, search)


def searched(grid: str, z: float) -> TrackSearch:
    """What a search says of one segment in which one grid stands out."""
    table = np.zeros((len(GRIDS), COLUMNS))
    table[GRIDS.index(grid), 0] = z
    return TrackSearch(table, (0,), (0,), np.array([z]), 44_100)
