"""Candidates that are followed: which are kept, and what the parts of a track are worth together."""

import functools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.combine import COLUMNS, FINENESS, SHAPES, place
from model.grid.follow import STATISTICS
from model.grid.following import CANDIDATES, KEPT, Following
from model.grid.names import GRIDS
from tests.model.grid.followed_track import FollowedTrack, Lines
from tests.model.grid.score_rows import CHANCE, EXACT, RATE_HZ, RELATIVE, cell

_FRAMES = np.array([shape[-1] for shape in SHAPES.values()])
_UNLIKE = np.zeros((len(GRIDS), STATISTICS))
_STARTS = tuple(200_003 * index for index in range(4))


def _places(start: int) -> NDArray[np.int64]:
    """Where a segment begins in each grid's frame: (len(GRIDS),)."""
    return np.array([place(grid, start, RATE_HZ) for grid in GRIDS])


def _candidates(grid: str = "aac", at: int = 0, rank: int = 0) -> NDArray[np.int64]:
    """Offsets a grid, all different; the one that is named at that rank: (CANDIDATES, len(GRIDS))."""
    rng = np.random.default_rng(1)
    offsets = np.stack([rng.permutation(frame)[:CANDIDATES] for frame in _FRAMES], axis=1)
    column = GRIDS.index(grid)
    offsets[offsets[:, column] == at, column] = (at + 1) % _FRAMES[column]
    offsets[rank, column] = at
    return offsets.astype(np.int64)


def _followed(
    offsets: NDArray[np.int64],
    starts: Sequence[int],
    lines: Lines,
    statistic: int = EXACT,
    spread: float = 0.5,
    *,
    drop: bool = True,
    likeness: NDArray[np.float64] | None = None,
) -> tuple[Following, FollowedTrack]:
    """Follow through all segments, one after another."""
    following, track = (
        Following(offsets, likeness if likeness is not None else _UNLIKE, RATE_HZ),
        FollowedTrack(starts, lines, statistic, spread),
    )
    for index, start in enumerate(starts):
        if drop and index:
            following.drop_the_weak()
        following.add(start, functools.partial(track, index))
    return following, track


def test_every_candidate_is_followed_at_its_place_in_the_segment() -> None:
    """Guards the offsets: they count from the start of the track, modulo each grid's own frame."""
    offsets = _candidates()
    _, track = _followed(offsets, (0, 150_001), {}, drop=False)
    np.testing.assert_array_equal(track.asked[0][1], offsets)
    np.testing.assert_array_equal(track.asked[1][1], (offsets - _places(150_001)) % _FRAMES)
    assert (track.asked[1][1] >= 0).all()
    assert (track.asked[1][1] < _FRAMES).all()


@pytest.mark.parametrize("statistic", [EXACT, RELATIVE])
def test_the_strongest_of_each_grid_are_kept(statistic: int) -> None:
    """Guards what is dropped: each grid keeps its own best, whichever rank the search gave them."""
    offsets = _candidates("mp3", 100, rank=6)
    offsets[3, GRIDS.index("wma")] = 2_047
    lines: Lines = {("mp3", 100): [(4.0, 4.0)] * 4, ("wma", 2_047): [(3.0, 5.0)] * 4}
    _, track = _followed(offsets, _STARTS, lines, statistic)
    assert [len(rows) for _, rows in track.asked] == [CANDIDATES, KEPT, KEPT, KEPT]
    for index, rows in track.asked[1:]:
        for grid, at in (("mp3", 100), ("wma", 2_047)):
            assert (at - place(grid, _STARTS[index], RATE_HZ)) % SHAPES[grid][-1] in rows[:, GRIDS.index(grid)]
    # The others keep two of their own candidates.
    again = (track.asked[1][1] + _places(_STARTS[1])) % _FRAMES
    assert all(set(again[:, column]) <= set(offsets[:, column]) for column in range(len(GRIDS)))
    assert all(len(set(again[:, column])) == KEPT for column in range(len(GRIDS)))


@pytest.mark.parametrize(
    ("grid", "at", "statistic"),
    [
        ("aac", 1_000, EXACT),
        ("mp3", 5, RELATIVE),
        ("ac3", 31, EXACT),
        ("opus_44k1", 881, RELATIVE),
        ("aac_resampled", 9, EXACT),
    ],
)
def test_weak_parts_that_agree_add_up(grid: str, at: int, statistic: int) -> None:
    """Guards the sum: 4 sigma a part are little alone and the grid of the track together, less the strongest part."""
    following, _ = _followed(_candidates(grid, at, rank=5), _STARTS, {(grid, at): [(4.0, 4.0)] * 4}, statistic)
    table = following.table()
    assert table.shape == (len(GRIDS), COLUMNS)
    assert cell(table, grid, statistic) == (pytest.approx(7 * 4.0 / 7**0.5), at)
    table[GRIDS.index(grid), 2 * statistic] = 0.0
    assert table[:, 0::2].max() < CHANCE
    np.testing.assert_allclose(following.alone(GRIDS.index(grid), statistic), 4.0)


@pytest.mark.parametrize("segments", [1, 4])
def test_the_strongest_part_alone_proves_nothing(segments: int) -> None:
    """Guards the restraint: one half of one segment may say what it wants, such as the edge of a drum hit."""
    said = [(300.0, 0.0), *[(0.0, 0.0)] * (segments - 1)]
    following, _ = _followed(_candidates("mp3", 100), _STARTS[:segments], {("mp3", 100): said})
    assert following.table()[:, 0::2].max() < CHANCE


def test_an_insert_counts_by_its_weaker_half() -> None:
    """Guards lossy parts of a track: one segment says it in both halves, and the others' silence takes nothing off."""
    said = [(0.0, 0.0), (0.0, 0.0), (30.0, 12.0), (0.0, 0.0)]
    following, _ = _followed(_candidates("vorbis", 333), _STARTS, {("vorbis", 333): said}, drop=False)
    assert cell(following.table(), "vorbis", EXACT) == (pytest.approx(12.0), 333)
    np.testing.assert_allclose(following.alone(GRIDS.index("vorbis"), EXACT), [0.0, 0.0, 12.0, 0.0], atol=1e-9)


def test_each_statistic_names_its_own_offset() -> None:
    """Guards the columns: z and offset by turns, the exact statistic first, and each belongs to the other."""
    offsets = _candidates("aac", 700, rank=2)
    following, _ = _followed(offsets, _STARTS, {("aac", 700): [(9.0, 9.0)] * 4}, RELATIVE)
    table = following.table()
    assert cell(table, "aac", RELATIVE) == (pytest.approx(9.0 * 7**0.5), 700)
    z, offset = cell(table, "aac", EXACT)
    assert z < CHANCE
    assert offset in offsets[:, GRIDS.index("aac")]


def test_what_was_not_followed_scores_nothing() -> None:
    """Guards the empty cells: a grid without a second statistic, and a track without anything, are zero."""
    following, _ = _followed(_candidates(), _STARTS, {})
    assert cell(following.table(), "ac3_lattice", RELATIVE)[0] == 0.0
    nothing = Following(_candidates(), _UNLIKE, RATE_HZ)
    nothing.add(0, lambda offsets: np.zeros((*offsets.shape, 2, 2, 2)))
    assert nothing.table()[:, 0::2].max() == 0.0
    assert nothing.alone(0, EXACT).tolist() == [0.0]


@pytest.mark.parametrize("segments", [1, 4])
def test_chance_that_spreads_wider_counts_less(segments: int) -> None:
    """Guards loops, which repeat their chance: where all offsets say much, one that says as much says nothing."""
    wide, _ = _followed(_candidates(), _STARTS[:segments], {}, spread=6.0)
    assert wide.table()[:, 0::2].max() < CHANCE
    line: Lines = {("aac", 40): [(12.0, 12.0)] * segments}
    clear, _ = _followed(_candidates("aac", 40), _STARTS[:segments], line)
    masked, _ = _followed(_candidates("aac", 40), _STARTS[:segments], line, spread=6.0)
    shrunk = cell(masked.table(), "aac", EXACT)[0] / cell(clear.table(), "aac", EXACT)[0]
    assert shrunk == pytest.approx(1.0 / 6.0, rel=0.5)  # of one segment few candidates tell, and they scatter
    np.testing.assert_allclose(masked.alone(0, EXACT) / clear.alone(0, EXACT), shrunk)


def test_one_line_does_not_hide_itself() -> None:
    """Guards the spread of chance: a codec's own candidates, in some grids of one family, must not widen it."""
    offsets = _candidates("aac", 40)
    offsets[1, GRIDS.index("aac_sine")] = 40
    lines: Lines = {(grid, 40): [(50.0, 50.0)] * 4 for grid in ("aac", "aac_sine")}
    following, _ = _followed(offsets, _STARTS, lines, drop=False)
    assert cell(following.table(), "aac", EXACT)[0] == pytest.approx(50.0 * 7**0.5)


@pytest.mark.parametrize("grid", ["vorbis_short", "mp3_short"])
def test_short_blocks_of_segments_that_are_alike_count_less(grid: str) -> None:
    """Guards drum loops: what all segments repeat grows with their number, and only in the grid that hears it."""
    lines: Lines = {(name, 40): [(12.0, 12.0)] * 4 for name in (grid, "mp3")}
    offsets = _candidates(grid, 40)
    offsets[0, GRIDS.index("mp3")] = 40
    alike = _UNLIKE.copy()
    alike[:, EXACT] = 1.0
    unlike, _ = _followed(offsets, _STARTS, lines)
    looped, _ = _followed(offsets, _STARTS, lines, likeness=alike)
    clear = cell(unlike.table(), grid, EXACT)[0]
    assert clear == pytest.approx(12.0 * 7**0.5, rel=0.3)
    assert cell(looped.table(), grid, EXACT)[0] == pytest.approx(clear / 2.0)  # the root of four segments
    assert cell(looped.table(), "mp3", EXACT) == cell(unlike.table(), "mp3", EXACT)
    column = GRIDS.index(grid)
    np.testing.assert_allclose(2.0 * looped.alone(column, EXACT), unlike.alone(column, EXACT))


def test_the_grids_of_short_blocks_tell_of_each_other() -> None:
    """Guards drum loops within a segment: where all short grids say much, one says nothing; long ones are not asked."""
    lines: Lines = {("aac_short", 40): [(12.0, 12.0)], ("mp3", 40): [(9.0, 9.0)]}
    offsets = _candidates("aac_short", 40)
    offsets[0, GRIDS.index("mp3")] = 40
    calm, track = _followed(offsets, _STARTS[:1], lines)
    others = [GRIDS.index(grid) for grid in ("aac_short_sine", "vorbis_short")]

    def loud(offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        answer = track(0, offsets)
        answer[:, others, ..., 0] *= 18.0  # from half a standard deviation to nine
        return answer

    looped = Following(offsets, _UNLIKE, RATE_HZ)
    looped.add(_STARTS[0], loud)
    shrunk = cell(looped.table(), "aac_short", EXACT)[0] / cell(calm.table(), "aac_short", EXACT)[0]
    assert shrunk < 0.4
    assert cell(looped.table(), "mp3", EXACT) == cell(calm.table(), "mp3", EXACT)


@pytest.mark.parametrize(
    ("grid", "share"),
    [("opus_44k1", 2), ("opus_48k", 2), ("aac_resampled", 8), ("mp3_resampled", 3), ("aac", 8), ("mp3", 3)],
)
def test_whole_short_blocks_away_is_no_rival(grid: str, share: int) -> None:
    """Guards encoders that switch blocks: the same codec's shorter frames lie there."""
    at = 30 * FINENESS[grid]
    offsets = _candidates(grid, at)
    offsets[4, GRIDS.index(grid)] = shorter = at + SHAPES[grid][-1] // share
    lines: Lines = {(grid, at): [(8.0, 8.0)] * 4, (grid, shorter): [(7.0, 7.0)] * 4}
    related, _ = _followed(offsets, _STARTS, lines)
    assert cell(related.table(), grid, EXACT)[0] == pytest.approx(8.0 * 7**0.5)


@pytest.mark.parametrize("grid", ["opus_44k1", "opus_48k", "aac_resampled", "mp3_resampled", "mp3_short"])
def test_a_frame_that_beats_are_made_of_has_no_rival(grid: str) -> None:
    """Guards music at 100, 120, 125 or 150 BPM: its beats are whole Opus frames, and stand out at several offsets."""
    at, rival = 30 * FINENESS[grid], 77 * FINENESS[grid]
    offsets = _candidates(grid, at)
    offsets[4, GRIDS.index(grid)] = rival
    line: Lines = {(grid, at): [(8.0, 8.0)] * 4}
    alone, _ = _followed(offsets, _STARTS, line)
    assert cell(alone.table(), grid, EXACT) == (pytest.approx(8.0 * 7**0.5), at)
    beside, _ = _followed(offsets, _STARTS, {**line, (grid, rival): [(7.0, 7.0)] * 4})
    assert cell(beside.table(), grid, EXACT)[0] < 4.0


@pytest.mark.parametrize("grid", ["mp2", "dts"])
def test_a_grid_of_few_offsets_has_to_say_twice_as_much(grid: str) -> None:
    """Guards true pianos: of 32 offsets content favours some, by 5 standard deviations in one."""
    following, _ = _followed(_candidates(grid, 9), _STARTS, {(grid, 9): [(8.0, 8.0)] * 4})
    assert cell(following.table(), grid, EXACT) == (pytest.approx(4.0 * 7**0.5), 9)


@pytest.mark.parametrize(("second", "worth"), [(7.0, 3.0), (3.0, 8.0 * 7**0.5)])
def test_an_equal_elsewhere_is_a_period_of_the_music(second: float, worth: float) -> None:
    """Guards pure tones, which stand out wherever their period begins; a track that was coded twice is still found."""
    offsets = _candidates("aac", 300)
    offsets[4, GRIDS.index("aac")] = 364
    lines: Lines = {("aac", 300): [(8.0, 8.0)] * 4, ("aac", 364): [(second, second)] * 4}
    following, _ = _followed(offsets, _STARTS, lines)
    assert cell(following.table(), "aac", EXACT)[0] == pytest.approx(worth, rel=0.2)


def test_one_segment_of_vorbis_lattice_proves_nothing() -> None:
    """Guards drum machines: in the few frames that are read of a segment the same hit may come back a few times."""
    calm: list[tuple[float, float]] = [(0.0, 0.0)] * 3
    offsets = _candidates("vorbis_lattice", 40)
    for grid, chance in (("vorbis_lattice", True), ("aac", False)):
        offsets[0, GRIDS.index(grid)] = 40
        following, _ = _followed(offsets, _STARTS, {(grid, 40): [(12.0, 12.0), *calm]})
        assert (cell(following.table(), grid, EXACT)[0] < CHANCE) == chance
    both, _ = _followed(offsets, _STARTS, {("vorbis_lattice", 40): [(12.0, 12.0)] * 4})
    assert cell(both.table(), "vorbis_lattice", EXACT)[0] > 3.0 * CHANCE
