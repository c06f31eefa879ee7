"""Where the searches of bench and trials lie, and which tracks have one."""

from collections.abc import Sequence
from pathlib import Path

from model.errors import ModelError
from model.training.bench import BenchTrack, load_bench
from model.training.grid_search import read_search
from model.training.scoring import Searches
from model.training.sources import Split

SEARCH_FOLDER = "search"
FURTHER_PARTS = ("truths", "decodes")
"""Folders of clips that no bench has (steps ``truths`` and ``decodes``); a work folder need not have them."""


def searched(benches: Sequence[BenchTrack], folder: Path) -> Searches:
    """Return the searches of those tracks that have one."""
    found = {bench.track.id: read_search(folder, bench) for bench in benches}
    return {track: search for track, search in found.items() if search is not None}


def searched_tracks(work: Path, split: Split) -> tuple[list[BenchTrack], Searches]:
    """Return the tracks of a split's bench that were searched, with their searches.

    Raises:
        ModelError: none was.
    """
    benches = load_bench(work / "bench", split)
    searches = searched(benches, work / SEARCH_FOLDER / "bench")
    if not searches:
        message = f"no {split} track was searched for frame grids: run `python -m model search --work {work}` first"
        raise ModelError(message)
    return [bench for bench in benches if bench.track.id in searches], searches
