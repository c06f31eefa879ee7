"""One segment after another: what is searched, what is followed, and when it ends."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import CLEAR_GRID_SCORE, SEARCHED_SEGMENTS, SEGMENT_SAMPLES
from model.grid.combine import COLUMNS, SCORES, unpack
from model.grid.following import CANDIDATES, CANDIDATES_EVERYWHERE, KEPT
from model.grid.names import FAMILY_OF_GRID, GRIDS
from model.grid.search import by_promise
from model.grid.track_search import FOLLOWED_A_SEARCHED, TrackSearch, search_track
from tests.model.conftest import followed
from tests.model.grid.conftest import Encode, ScoresOf
from tests.model.grid.drum_machine import drum_machine
from tests.model.grid.followed_track import FollowedTrack
from tests.model.grid.score_rows import CHANCE, EXACT, RATE_HZ, RELATIVE, STARTS, cell, rows_of

_WEAK = 8.0  # what a search says of a grid that only following makes clear
_MANY = tuple(200_003 * index for index in range(9))

Follow = Callable[[int, NDArray[np.int64]], NDArray[np.float64]]


def _nothing_is_followed(index: int, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fail where a clear search is followed all the same."""
    message = f"segment {index} was followed at {len(offsets)} offsets"
    raise AssertionError(message)


class _Runs:
    """Segments with an AAC grid at the offset 40, searched on demand, and which were."""

    def __init__(self, levels: Sequence[float], starts: Sequence[int]) -> None:
        self._rows = rows_of(starts, "aac", 40, [(level, level) for level in levels])
        self.calls: list[int] = []

    def __call__(self, index: int) -> NDArray[np.float64]:
        self.calls.append(index)
        return self._rows[index]


def test_the_best_of_both_statistics_is_named() -> None:
    """Guards the columns: z and offset by turns, the exact statistic first."""
    table = np.zeros((len(GRIDS), COLUMNS))
    table[GRIDS.index("aac")] = (8.0, 1_000.0, 5.0, 3.0)
    table[GRIDS.index("mp3")] = (2.0, 900.0, 9.0, 100.0)
    search = TrackSearch(table, (0,), (0,), np.zeros(1), RATE_HZ)
    assert (search.best_z, GRIDS[search.best_grid], search.best_statistic) == (9.0, "mp3", RELATIVE)
    assert search.offset_in(0) == 100
    assert search.offset_in(576 + 101) == 575


@pytest.mark.parametrize(
    ("levels", "most", "searched"),
    [
        ((0.0, 0.0, CLEAR_GRID_SCORE + 1.0), 3, [2]),  # clear at once
        ((CLEAR_GRID_SCORE - 1.0, 0.0, CLEAR_GRID_SCORE - 1.0), 3, [2, 0]),  # clear with the second
        ((CLEAR_GRID_SCORE / 2,) * 3, 9, [2, 0, 1]),  # clear with the last there is
        ((0.0, 0.0, CLEAR_GRID_SCORE + 1.0), None, [2, 0, 1]),  # all are searched on request
    ],
)
def test_a_clear_search_ends_and_follows_nothing(
    levels: Sequence[float], most: int | None, searched: list[int]
) -> None:
    """Guards the cost, a CPU-second or two a segment, and that None searches the whole track in spite of it."""
    run = _Runs(levels, STARTS)
    search = search_track(run, _nothing_is_followed, (2, 0, 1), STARTS, RATE_HZ, most)
    assert run.calls == searched
    assert search.segments == tuple(searched)
    assert search.starts == tuple(STARTS[index] for index in searched)
    assert search.segment_z.shape == (len(searched),)
    assert (GRIDS[search.best_grid], search.offset_in(0)) == ("aac", 40)
    assert search.best_z >= CLEAR_GRID_SCORE
    assert not search.followed


@pytest.mark.parametrize("statistic", [EXACT, RELATIVE])
def test_offset_and_score_of_a_segment_belong_together(statistic: int) -> None:
    """Guards what the verdict says: at the offset that is named, this segment shows just this score."""
    starts = (0, 150_001, 401_237, 700_000)
    rows = rows_of(starts, "mp3", 250, [(27.0, 25.0), (0.0, 0.0), (31.0, 34.0), (16.0, 28.0)], statistic)
    search = search_track(rows.__getitem__, _nothing_is_followed, (3, 0, 2), starts, RATE_HZ, None)
    assert search.segments == (3, 0, 2)
    assert search.starts == (700_000, 0, 401_237)
    assert search.segment_z.tolist() == [16.0, 25.0, 31.0]
    for start, index, z in zip(search.starts, search.segments, search.segment_z, strict=True):
        parts = unpack(rows[index : index + 1])["mp3"][0, statistic]
        assert parts[:, search.offset_in(start)].min() == z


@pytest.mark.parametrize(
    ("segments", "most", "searched", "followed"),
    [(9, 3, 3, 6), (9, 1, 1, 2), (4, 3, 3, 4), (1, 3, 1, 1), (2, 9, 2, 2)],
)
def test_what_is_not_clear_is_followed(segments: int, most: int, searched: int, followed: int) -> None:
    """Guards the cost of following: all candidates once, few further on, in twice as many segments as are searched."""
    starts, order = _MANY[:segments], range(segments)[::-1]
    run, track = _Runs((0.0,) * segments, starts), FollowedTrack(starts, {})
    search = search_track(run, track, order, starts, RATE_HZ, most)
    assert FOLLOWED_A_SEARCHED == 2
    assert run.calls == list(order[:searched])
    assert [index for index, _ in track.asked] == list(order[:followed])
    assert [len(offsets) for _, offsets in track.asked] == [CANDIDATES, *[KEPT] * (followed - 1)]
    assert search.segments == tuple(order[:followed])
    assert search.starts == tuple(starts[index] for index in order[:followed])
    assert search.segment_z.shape == (followed,)
    assert search.best_z < CHANCE
    assert search.followed


@pytest.mark.parametrize(
    ("level", "needed"), [(CLEAR_GRID_SCORE + 1.0, 1), (CLEAR_GRID_SCORE - 7.0, 2), (CLEAR_GRID_SCORE / 2, 3)]
)
def test_following_ends_when_something_is_clear(level: float, needed: int) -> None:
    """Guards the cost: further segments would only say the same."""
    track = FollowedTrack(_MANY, {("aac", 40): [(level, level)] * 9})
    search = search_track(_Runs((_WEAK,) * 9, _MANY), track, range(9), _MANY, RATE_HZ, 3)
    assert len(track.asked) == needed
    assert search.segments == tuple(range(needed))
    assert (GRIDS[search.best_grid], search.best_statistic) == ("aac", EXACT)
    assert search.best_z == pytest.approx(level * max(1.0, 2 * needed - 1) ** 0.5)
    np.testing.assert_allclose(search.segment_z, level)
    assert [search.offset_in(start) for start in search.starts] == [(40 - start) % 1_024 for start in search.starts]


def test_the_search_names_the_candidates() -> None:
    """Guards the hand-over: the offset that looks best is followed, counted from each segment's own start."""
    track = FollowedTrack(STARTS, {})
    search_track(_Runs((_WEAK,) * 3, STARTS), track, (1, 2, 0), STARTS, RATE_HZ, 3)
    index, offsets = track.asked[0]
    assert index == 1
    assert offsets[0, GRIDS.index("aac")] == (40 - STARTS[1]) % 1_024
    assert len(set(offsets[:, GRIDS.index("aac")])) == CANDIDATES


def test_what_following_says_counts() -> None:
    """Guards originals: a search that looks like something is forgotten where the other frames don't agree."""
    search = search_track(_Runs((_WEAK,) * 3, STARTS), FollowedTrack(STARTS, {}), range(3), STARTS, RATE_HZ, 3)
    assert search.best_z < CHANCE
    assert search.segment_z.max() < CHANCE


@pytest.mark.parametrize("segments", [1, 5, 9])
def test_every_segment_is_followed_on_request(segments: int) -> None:
    """Guards lossy parts: each segment is followed at the same offsets, although the first is clear."""
    starts = _MANY[:segments]
    run = _Runs((4.5, *(0.0,) * (segments - 1)), starts)
    track = FollowedTrack(
        starts, {("aac", 40): [(2 * CLEAR_GRID_SCORE, 2 * CLEAR_GRID_SCORE), *[(0.0, 0.0)] * (segments - 1)]}
    )
    search = search_track(run, track, range(segments), starts, RATE_HZ, None)
    assert run.calls == list(range(segments))
    assert [len(offsets) for _, offsets in track.asked] == [CANDIDATES_EVERYWHERE] * segments
    assert search.segments == tuple(range(segments))
    assert cell(search.table, "aac", EXACT) == (pytest.approx(2 * CLEAR_GRID_SCORE), 40)


def test_an_insert_in_one_of_several_segments_is_found() -> None:
    """Guards lossy parts of a track: what one segment says in both halves counts in full beside silent others."""
    starts = _MANY[:6]
    levels = [(0.0, 0.0)] * 6
    levels[4] = (9.0, 8.0)
    said = [(0.0, 0.0)] * 6
    said[4] = (13.0, 12.0)
    rows, track = rows_of(starts, "vorbis", 333, levels), FollowedTrack(starts, {("vorbis", 333): said})
    search = search_track(rows.__getitem__, track, range(6), starts, RATE_HZ, None)
    assert cell(search.table, "vorbis", EXACT) == (pytest.approx(12.0), 333)
    assert search.best_z == pytest.approx(12.0)
    assert int(np.argmax(search.segment_z)) == 4
    assert np.delete(search.segment_z, 4).max() < CHANCE


def test_silence_is_no_grid() -> None:
    """Guards the search of a track that scores nothing at all: zero, not an error."""

    def follow(index: int, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        del index
        return np.tile([0.0, 1e-6], (*offsets.shape, 2, 2, 1))

    search = search_track(lambda _: np.zeros(SCORES), follow, (1, 0), STARTS[:2], RATE_HZ, 3)
    assert search.best_z == 0.0
    assert search.segment_z.tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def follow_in(follower: keras.Model) -> Callable[[NDArray[np.float32]], Follow]:
    """Return a function: segments to what follows candidates through them."""

    def of(segments: NDArray[np.float32]) -> Follow:
        return lambda index, offsets: followed(follower, segments[index : index + 1], offsets)

    return of


@pytest.mark.parametrize(
    ("family", "name", "arguments"),
    [
        ("aac", "a.m4a", ("-c:a", "aac", "-b:a", "256k")),
        ("mp3", "a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k")),
    ],
)
def test_a_grid_that_the_search_only_suspects_is_followed_up(
    scores_of: ScoresOf,
    follow_in: Callable[[NDArray[np.float32]], Follow],
    encode: Encode,
    family: str,
    name: str,
    arguments: tuple[str, ...],
) -> None:
    """Guards the two networks' common offsets and order of grids, on scores that were made too weak to be clear."""
    decoded = encode(name, *arguments, shift=3_000)
    row = scores_of(decoded)
    strong = search_track(lambda _: row, _nothing_is_followed, (0,), (0,), RATE_HZ, 3)
    weak = 0.3 * CLEAR_GRID_SCORE / strong.best_z * row
    found = search_track(lambda _: weak, follow_in(decoded), (0,), (0,), RATE_HZ, 3)
    assert found.followed
    assert FAMILY_OF_GRID[GRIDS[found.best_grid]] == family
    assert found.best_z > 2 * CLEAR_GRID_SCORE
    assert found.offset_in(0) == strong.offset_in(0)
    assert found.segment_z.tolist() == [found.best_z]


@pytest.mark.parametrize("hits", [8, 24])
def test_a_loop_of_drums_is_no_grid(
    scores_of: ScoresOf, follow_in: Callable[[NDArray[np.float32]], Follow], hits: int
) -> None:
    """Guards the restraint on drum machines: what a loop says by chance it says again with every beat.

    Six segments of a loop of 100 Opus frames, searched and followed as in the product.
    """
    track = drum_machine(hits, loops=11)
    starts = [index * (SEGMENT_SAMPLES + 20_000) for index in range(FOLLOWED_A_SEARCHED * SEARCHED_SEGMENTS)]
    segments = np.stack([track[start : start + SEGMENT_SAMPLES] for start in starts])
    found = search_track(
        lambda index: scores_of(segments[index : index + 1]),
        follow_in(segments),
        by_promise(segments),
        starts,
        RATE_HZ,
        SEARCHED_SEGMENTS,
    )
    assert found.followed
    assert len(found.segments) == len(segments)
    scores = {grid: float(row[0::2].max()) for grid, row in zip(GRIDS, found.table, strict=True)}
    assert max(scores.values()) < 7.0, scores


def test_a_grid_of_parts_of_a_sample_is_never_clear_by_the_search() -> None:
    """Guards pianos: the search tells Opus at 44.1 kHz by angles, and a true recording's stood out at 41 sigma."""
    rows = rows_of(STARTS, "opus_44k1", 4_000, [(41.0, 41.0)] * 3)
    denied = FollowedTrack(STARTS, {})
    search = search_track(rows.__getitem__, denied, range(3), STARTS, RATE_HZ, 3)
    assert search.followed
    assert search.best_z < CHANCE
    assert denied.asked[0][1][0, GRIDS.index("opus_44k1")] == 4_000, "it must be followed first"
    agreed = FollowedTrack(STARTS, {("opus_44k1", 4_000): [(9.0, 9.0)] * 3})
    search = search_track(rows.__getitem__, agreed, range(3), STARTS, RATE_HZ, 3)
    assert GRIDS[search.best_grid] == "opus_44k1"
    assert search.best_z >= CLEAR_GRID_SCORE


def test_a_grid_of_few_offsets_is_never_clear_by_the_search() -> None:
    """Guards short periods: of MP2's 32 offsets the others don't tell how far chance spreads."""
    rows = rows_of(STARTS, "mp2", 7, [(300.0, 300.0)] * 3)
    denied = FollowedTrack(STARTS, {})
    search = search_track(rows.__getitem__, denied, range(3), STARTS, RATE_HZ, 3)
    assert search.followed
    assert search.best_z < CHANCE


def test_a_grid_that_stands_out_at_several_offsets_is_not_clear() -> None:
    """Guards pure tones: a saw of 16 samples stood out in AAC's grid by thousands, wherever its period began."""
    once = rows_of(STARTS, "aac", 40, [(300.0, 300.0)] * 3)
    often = [np.maximum(a, b) for a, b in zip(once, rows_of(STARTS, "aac", 56, [(290.0, 290.0)] * 3), strict=True)]
    never = FollowedTrack(STARTS, {})
    assert search_track(once.__getitem__, never, range(3), STARTS, RATE_HZ, 3).best_z >= CLEAR_GRID_SCORE
    assert not never.asked
    search = search_track(often.__getitem__, never, range(3), STARTS, RATE_HZ, 3)
    assert search.followed
    assert search.best_z < CHANCE


@pytest.mark.parametrize("level", [8.0, 15.0])
def test_a_grid_that_is_not_followed_keeps_what_the_search_said(level: float) -> None:
    """Guards SBC's weak decodes: following, which tells nothing of them, must not blank them."""
    rows = rows_of(STARTS, "sbc", 9, [(level, level)] * 3)
    track = FollowedTrack(STARTS, {})
    search = search_track(rows.__getitem__, track, range(3), STARTS, RATE_HZ, 3)
    assert track.asked
    assert search.followed
    assert (GRIDS[search.best_grid], search.best_statistic, search.offset_in(0)) == ("sbc", EXACT, 9)
    # Five parts of six together, at twice the spread that chance is given in grids of few offsets.
    assert search.best_z == pytest.approx(level * 5**0.5 / 2.0)
    assert search.segments == (0, 1, 2)
    assert search.segment_z.tolist() == [level] * 3
