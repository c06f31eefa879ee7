"""The search as a whole: the right family for a decode, none for an original, the same again from disk."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.combine import FINENESS, SCORES, Table, table_of, track_curves, unpack
from model.grid.follow import build_follower
from model.grid.names import FAMILY_OF_GRID, GRIDS
from model.grid.search import build_grid_search, by_promise
from model.network import build_network, join_detector
from tests.model.grid.conftest import Encode, ScoresOf
from tests.model.grid.drum_machine import drum_machine
from tests.model.grid.score_rows import RATE_HZ

_NOTHING = 6.0  # originals stay below
_FOUND = 12.0

_ENCODINGS = [
    ("aac", "a.m4a", ("-c:a", "aac", "-b:a", "256k")),
    ("mp3", "a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k")),
    ("ac3", "a.ac3", ("-c:a", "ac3", "-b:a", "384k")),
    ("vorbis", "a.ogg", ("-c:a", "libvorbis", "-q:a", "6")),
]


def _table(row: NDArray[np.float64]) -> Table:
    """(SCORES,) -> (GRIDS, COLUMNS)."""
    return table_of(track_curves(row[None], [0], RATE_HZ))


@pytest.mark.parametrize(("family", "name", "arguments"), _ENCODINGS)
def test_the_best_grid_is_the_codecs_own(
    scores_of: ScoresOf, encode: Encode, family: str, name: str, arguments: tuple[str, ...]
) -> None:
    """Guards the verdict's family, wherever a file was cut: no other codec's grid may score higher."""
    shift = int(np.random.default_rng(sum(name.encode())).integers(2_048, 4_096))
    scores = _table(scores_of(encode(name, *arguments, shift=shift)))[:, 0::2].max(axis=1)
    assert FAMILY_OF_GRID[GRIDS[int(scores.argmax())]] == family
    assert scores.max() > _FOUND


def test_an_original_shows_no_grid(scores_of: ScoresOf, untouched: NDArray[np.float32]) -> None:
    """Guards the restraint: content must not move any family's best offset far out."""
    row = scores_of(untouched)
    assert row.shape == (SCORES,)
    assert _table(row)[:, 0::2].max() < _NOTHING


@pytest.mark.parametrize("hits", [8, 24])
def test_drum_hits_next_to_silence_are_no_grid(scores_of: ScoresOf, hits: int) -> None:
    """Guards the restraint on drum machines: a loop looks alike wherever it is cut, and its pauses like holes.

    Both statistics, each segment alone and all three together.  (The gates themselves: ``test_evidence``.  Grids that
    are searched by angles only name candidates: ``test_track_search``.)
    """
    track = drum_machine(hits, loops=6)
    starts = [index * (SEGMENT_SAMPLES + 20_000) for index in range(3)]
    segments = [track[None, start : start + SEGMENT_SAMPLES] for start in starts]
    rows = np.stack([scores_of(segment) for segment in segments])
    table = table_of(track_curves(rows, starts, RATE_HZ))
    assert table[[FINENESS[grid] == 1 for grid in GRIDS], 0::2].max() < 7.0
    assert max(part.max() for part in unpack(rows).values()) > 5.0  # one half alone says more


def test_the_joined_detector_survives_the_way_to_disk(tmp_path: Path, untouched: NDArray[np.float32]) -> None:
    """Guards serialisation: the released file answers as the model that was saved, in all three parts."""
    keras.utils.set_random_seed(3)
    n = 32_768
    parts = build_network(n, filters=(2, 2, 2, 2)), build_grid_search(n, effort=0.01), build_follower(n, effort=0.5)
    detector = join_detector(*parts)
    detector.save(tmp_path / "detector.keras")
    again = keras.saving.load_model(tmp_path / "detector.keras")
    cut = {
        "samples": untouched[:, :n],
        "searched": untouched[:, n : 2 * n],
        "followed": untouched[:, 2 * n : 3 * n],
        "offsets": np.arange(len(GRIDS), dtype=np.int32)[None],
        "rate_hz": np.array([48_000], np.int32),
    }
    wanted, got = detector(cut, training=False), again(cut, training=False)  # quicker than tracing both
    assert set(got) == {"lossy_logit", "family_logits", "bitrate_logits", "grid_scores", "frames"}
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5, atol=1e-5)


def test_loud_bright_segments_promise_most() -> None:
    """Guards the order of the few that are searched: loud bass and quiet treble leave nothing to find."""
    seconds = np.arange(SEGMENT_SAMPLES) / 44_100.0
    tones = [(0.9, 60.0), (0.01, 9_000.0), (0.3, 9_000.0), (0.001, 60.0)]
    mono = np.stack([level * np.sin(2 * np.pi * hertz * seconds) for level, hertz in tones])
    segments = np.repeat(mono[..., None], 2, axis=2).astype(np.float32)
    assert by_promise(segments) == [2, 1, 0, 3]
    assert by_promise(segments[::-1]) == [1, 2, 3, 0]
    assert by_promise(segments[:1]) == [0]


def test_silent_segments_are_not_searched() -> None:
    """Guards fade-outs: rounded next to nothing, a true recording's last seconds stood out in MP3's grid at 7 sigma."""
    noise = np.random.default_rng(2).standard_normal((4, SEGMENT_SAMPLES, 2))
    levels = np.array([0.01, 1e-5, 0.1, 1e-6])[:, None, None]  # of full scale; 1e-5 is -97 dB re a full-scale sine
    segments = (levels * noise).astype(np.float32)
    assert by_promise(segments) == [2, 0]
    assert by_promise(segments[1::2]) == [0], "a track that is silent throughout must still have a score"
