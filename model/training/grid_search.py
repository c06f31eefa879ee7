"""The step before ``calibrate``: search the items of the bench for frame grids, once.

The search holds no trained weights, so its results outlive any training.  One ``.npz`` a track keeps the scores of all
frame offsets (half precision) and what following the candidates said, written when the track is done: an interrupted
job picks up where it was.  Scores that are there are not computed again; where the way they are combined has changed,
only the new candidates are followed.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from model.constants import SEARCHED_SEGMENTS, SEGMENT_SAMPLES
from model.grid.combine import SCORES
from model.grid.follow import build_follower
from model.grid.search import build_grid_search, by_promise
from model.grid.track_search import TrackSearch, search_track
from model.training.bench import INSERT, BenchTrack, Item
from model.training.chance import fair_order
from model.training.progress import Progress
from model.training.scoring import segments_of

Stored = Mapping[str, NDArray[np.generic]]
"""One item's arrays."""
_SCORES, _SEGMENTS = "scores", "segments"
_FOLLOWED, _OFFSETS, _FRAMES = "followed_segments", "offsets", "frames"
_ORDER = "order"  # of all segments, most promising first


class MissingError(KeyError):
    """A stored search lacks what the present one asks for."""


class _Memory:
    """What was computed of one item: the stored and, where networks are at hand, the new."""

    def __init__(self, stored: Stored, networks: tuple[keras.Model, keras.Model] | None = None) -> None:
        self._networks = networks
        self.rows: dict[int, NDArray[np.float16]] = {}
        self.frames: dict[tuple[int, bytes], NDArray[np.float32]] = {}
        if _SCORES in stored and stored[_SCORES].shape[1] == SCORES:
            self.rows = dict(zip(stored[_SEGMENTS].tolist(), stored[_SCORES], strict=True))
        if _FRAMES in stored:
            for segment, offsets, frames in zip(
                stored[_FOLLOWED].tolist(), stored[_OFFSETS], stored[_FRAMES], strict=True
            ):
                self.frames[segment, offsets.astype(np.int32).tobytes()] = frames

    def run(self, segments: NDArray[np.float32] | None, rate_hz: int, index: int) -> NDArray[np.float64]:
        """Return a segment's row of scores, as it is kept."""
        if index not in self.rows:
            if self._networks is None or segments is None:
                raise MissingError(index)
            cut = {"samples": segments[index : index + 1], "rate_hz": np.array([rate_hz], np.int32)}
            row = np.asarray(self._networks[0].predict_on_batch(cut)["grid_scores"])[0]
            self.rows[index] = np.clip(row, -6e4, 6e4).astype(np.float16)  # the range of half precision
        return self.rows[index].astype(np.float64)

    def follow(
        self, segments: NDArray[np.float32] | None, rate_hz: int, index: int, offsets: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what following says of a segment, at one set of offsets a row."""
        found = []
        for row in offsets.astype(np.int32):
            key = index, row.tobytes()
            if key not in self.frames:
                if self._networks is None or segments is None:
                    raise MissingError(index)
                rates = np.array([rate_hz], np.int32)
                cut = {"followed": segments[index : index + 1], "offsets": row[None], "rate_hz": rates}
                self.frames[key] = np.asarray(self._networks[1].predict_on_batch(cut)["frames"])[0]
            found.append(self.frames[key])
        return np.stack(found).astype(np.float64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything that is worth keeping."""
        kept: dict[str, NDArray[np.generic]] = {
            _SCORES: np.stack(list(self.rows.values())),
            _SEGMENTS: np.array(list(self.rows)),
        }
        if self.frames:
            kept[_FOLLOWED] = np.array([segment for segment, _ in self.frames])
            kept[_OFFSETS] = np.stack([np.frombuffer(offsets, dtype=np.int32) for _, offsets in self.frames])
            kept[_FRAMES] = np.stack(list(self.frames.values()))
        return kept


def searched_file(folder: Path, bench: BenchTrack) -> Path:
    """Return where the search of a track lies."""
    return folder / bench.track.split / f"{bench.track.id}.npz"


def _starts(count: int) -> list[int]:
    """Return the first samples of an item's segments: they follow each other."""
    return [index * SEGMENT_SAMPLES for index in range(count)]


def _networks() -> tuple[keras.Model, keras.Model]:
    """Build both networks; compiled, following takes half as long and searching twice (measured on a CPU)."""
    search, follower = build_grid_search(), build_follower()
    search.compile(jit_compile=False)
    follower.compile(jit_compile=True)
    return search, follower


def _read(file: Path) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Return the stored arrays of each item; none where there is no file."""
    items: dict[str, dict[str, NDArray[np.generic]]] = {}
    if file.exists():
        with np.load(file) as arrays:
            for key in arrays.files:
                name, what = key.rsplit(":", 1)
                items.setdefault(name, {})[what] = arrays[key]
    return items


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
    chosen = fair_order(benches)[:tracks]
    waiting = [bench for bench in chosen if read_search(folder, bench) is None]
    progress = Progress("search", sum(len(_wanted(bench)) for bench in waiting), every_s=30.0)
    networks = _networks() if waiting else None
    for bench in waiting:
        file = searched_file(folder, bench)
        stored, arrays = _read(file), {}
        for item in _wanted(bench):
            segments = segments_of(bench, item)
            memory = _Memory(stored.get(item.file, {}), networks)
            order = by_promise(segments)
            search_track(
                functools.partial(memory.run, segments, item.rate_hz),
                functools.partial(memory.follow, segments, item.rate_hz),
                order,
                _starts(len(segments)),
                item.rate_hz,
                SEARCHED_SEGMENTS,
            )
            kept = {**memory.arrays(), _ORDER: np.array(order)}
            arrays.update({f"{item.file}:{key}": value for key, value in kept.items()})
            progress.step()
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez_compressed(part, **arrays)
        part.rename(file)
    return len(waiting)


def read_search(folder: Path, bench: BenchTrack, most: int = SEARCHED_SEGMENTS) -> dict[str, TrackSearch] | None:
    """Return the search of each item by its file name; None where something of it was not searched or followed.

    Args:
        folder: of the results.
        bench: the track.
        most: segments an item that count, of those that were searched.
    """
    stored = _read(searched_file(folder, bench))
    found = {}
    for item in _wanted(bench):
        arrays = stored.get(item.file, {})
        if _ORDER not in arrays:
            return None
        memory = _Memory(arrays)
        order = [int(index) for index in np.asarray(arrays[_ORDER], dtype=np.int64)]
        try:
            found[item.file] = search_track(
                functools.partial(memory.run, None, item.rate_hz),
                functools.partial(memory.follow, None, item.rate_hz),
                order,
                _starts(max(order) + 1),
                item.rate_hz,
                most,
            )
        except MissingError:
            return None
    return found
