"""The step before ``calibrate``: search the items of the bench for frame grids, once.

The search holds no trained weights, so its results outlive any training; one JSON file a track,
written when the track is done: an interrupted job picks up where it was.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.grid.names import GRIDS
from model.grid.search import build_grid_search, promising_segment
from model.training.bench import BenchTrack
from model.training.chance import fair_order
from model.training.progress import Progress
from model.training.scoring import segments_of


def searched_file(folder: Path, bench: BenchTrack) -> Path:
    """Return where the search of a track lies."""
    return folder / bench.track.split / f"{bench.track.id}.json"


def run_search(benches: Sequence[BenchTrack], folder: Path, tracks: int | None = None) -> int:
    """Search every item of the first ``tracks`` tracks; returns how many tracks were new.

    Args:
        benches: tracks of one split.
        folder: of the results.
        tracks: how many, of a shuffled order that is the same each time; all by default.
    """
    waiting = [bench for bench in fair_order(benches)[:tracks] if not searched_file(folder, bench).exists()]
    network = build_grid_search()
    progress = Progress("search", sum(len(bench.items) for bench in waiting), every_s=30.0)
    for bench in waiting:
        found = {}
        for item in bench.items:
            segments = segments_of(bench, item)
            chosen = promising_segment(segments)
            grid = np.asarray(network.predict_on_batch(segments[chosen : chosen + 1])["grid"])[0]
            found[item.file] = {"segment": chosen, "grid": np.round(grid.astype(float), 4).tolist()}
            progress.step()
        file = searched_file(folder, bench)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"grids": GRIDS, "items": found}) + "\n", encoding="utf-8")
    return len(waiting)


def read_search(folder: Path, bench: BenchTrack) -> dict[str, NDArray[np.float64]] | None:
    """Return the search of each item by its file name; None where the track was not searched with these grids."""
    file = searched_file(folder, bench)
    if not file.exists():
        return None
    values = json.loads(file.read_text(encoding="utf-8"))
    if tuple(values["grids"]) != GRIDS:
        return None
    return {name: np.asarray(found["grid"]) for name, found in values["items"].items()}
