"""The step before ``calibrate``: search the items of the bench for frame grids, once.

The search holds no trained weights, so its results outlive any training.  One ``.npz`` a track keeps the scores of all
frame offsets (half precision), written when the track is done: an interrupted job picks up where it was, and the way
scores are combined can change without another search.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from model.constants import SEARCHED_SEGMENTS, SEGMENT_SAMPLES
from model.grid.combine import SCORES, TrackSearch, search_track
from model.grid.search import build_grid_search, by_promise
from model.training.bench import INSERT, BenchTrack, Item
from model.training.chance import fair_order
from model.training.progress import Progress
from model.training.scoring import segments_of

_SCORES, _SEGMENTS = "scores", "segments"


def searched_file(folder: Path, bench: BenchTrack) -> Path:
    """Return where the search of a track lies."""
    return folder / bench.track.split / f"{bench.track.id}.npz"


def _starts(count: int) -> list[int]:
    """Return the first samples of an item's segments: they follow each other."""
    return [index * SEGMENT_SAMPLES for index in range(count)]


def _search_item(network: keras.Model, segments: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    rows: list[NDArray[np.float16]] = []

    def run(index: int) -> NDArray[np.float64]:
        row = np.asarray(network.predict_on_batch(segments[index : index + 1])["grid_scores"])[0]
        rows.append(np.clip(row, -6e4, 6e4).astype(np.float16))  # the range of half precision
        return row.astype(np.float64)

    found = search_track(run, by_promise(segments), _starts(len(segments)), SEARCHED_SEGMENTS)
    return {_SCORES: np.stack(rows), _SEGMENTS: np.array(found.segments)}


def _wanted(bench: BenchTrack) -> list[Item]:
    """Leave the inserts out: they are searched segment by segment (``localise``)."""
    return [item for item in bench.items if item.condition != INSERT]


def run_search(benches: Sequence[BenchTrack], folder: Path, tracks: int | None = None) -> int:
    """Search every item of the first ``tracks`` tracks; returns how many tracks were new.

    Args:
        benches: tracks of one split.
        folder: of the results.
        tracks: how many, of a shuffled order that is the same each time; all by default.
    """
    waiting = [bench for bench in fair_order(benches)[:tracks] if not searched_file(folder, bench).exists()]
    network = build_grid_search()
    progress = Progress("search", sum(len(_wanted(bench)) for bench in waiting), every_s=30.0)
    for bench in waiting:
        arrays: dict[str, NDArray[np.generic]] = {}
        for item in _wanted(bench):
            for key, value in _search_item(network, segments_of(bench, item)).items():
                arrays[f"{item.file}:{key}"] = value
            progress.step()
        file = searched_file(folder, bench)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez_compressed(part, **arrays)
        part.rename(file)
    return len(waiting)


def read_search(folder: Path, bench: BenchTrack, most: int = SEARCHED_SEGMENTS) -> dict[str, TrackSearch] | None:
    """Return the search of each item by its file name; None where the track was not searched with these grids.

    Args:
        folder: of the results.
        bench: the track.
        most: segments an item that count, of those that were searched.
    """
    file = searched_file(folder, bench)
    if not file.exists():
        return None
    with np.load(file) as arrays:
        stored: Mapping[str, NDArray[np.generic]] = dict(arrays)
    found = {}
    for name in {key.rsplit(":", 1)[0] for key in stored}:
        scores = np.asarray(stored[f"{name}:{_SCORES}"], dtype=np.float64)
        if scores.shape[1] != SCORES:
            return None
        segments = [int(index) for index in np.asarray(stored[f"{name}:{_SEGMENTS}"], dtype=np.int64)]
        by_index = dict(zip(segments, scores, strict=True))
        found[name] = search_track(by_index.__getitem__, segments, _starts(max(segments) + 1), most)
    return found
