"""Several segments together: what agrees counts, what one stretch says alone does not."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.combine import CLEAR, COLUMNS, SCORES, SHAPES, TrackSearch, combine, search_track, unpack
from model.grid.evidence import HALVES
from model.grid.names import GRIDS

_CHANCE = 6.0  # the best of all offsets of plain noise stays below
_EXACT, _RELATIVE = 0, 1
_STARTS = (0, 150_001, 401_237)  # modulo no frame alike

Curves = Mapping[str, NDArray[np.float64]]


def _noise(seed: int) -> dict[str, NDArray[np.float64]]:
    """What a segment without any grid scores: one array a grid."""
    rng = np.random.default_rng(seed)
    return {grid: rng.standard_normal(shape) for grid, shape in SHAPES.items()}


def _row(curves: Curves) -> NDArray[np.float64]:
    """One segment's row of scores, laid out as the network does it: grid after grid."""
    return np.concatenate([curves[grid].reshape(-1) for grid in GRIDS])


def _rows(
    starts: Sequence[int], grid: str, at: int, levels: Sequence[Sequence[float]], statistic: int = _EXACT
) -> NDArray[np.float64]:
    """Rows of noise with a line at the frame offset ``at`` from the start of the track; one level a half a segment."""
    rows = []
    for seed, (start, level) in enumerate(zip(starts, levels, strict=True)):
        curves = _noise(seed)
        curves[grid][statistic, :, (at - start) % SHAPES[grid][-1]] = level
        rows.append(_row(curves))
    return np.stack(rows)


def _cell(table: NDArray[np.float64], grid: str, statistic: int) -> tuple[float, int]:
    z, offset = table[GRIDS.index(grid), 2 * statistic : 2 * statistic + 2]
    return float(z), int(offset)


def test_the_shapes_are_those_of_the_codecs_frames() -> None:
    """Guards the layout of stored searches: another number of offsets or statistics would be read as noise."""
    assert tuple(SHAPES) == GRIDS
    assert {grid: shape[-1] for grid, shape in SHAPES.items()} == {
        "aac": 1_024,
        "aac_sine": 1_024,
        "aac_short": 128,
        "ac3": 256,
        "ac3_lattice": 256,
        "mp2": 32,
        "mp3": 576,
        "opus_44k1": 882,
        "opus_48k": 960,
        "vorbis": 1_024,
        "vorbis_short": 128,
        "wma": 2_048,
    }
    assert all(shape[1] == HALVES for shape in SHAPES.values())
    assert [grid for grid, shape in SHAPES.items() if shape[0] == 1] == ["ac3_lattice"]
    assert sum(int(np.prod(shape)) for shape in SHAPES.values()) == SCORES


def test_rows_are_cut_in_the_order_of_the_grids() -> None:
    """Guards the reading: one grid's scores must not be taken for the next one's, nor one segment's for another's."""
    rows = np.arange(2 * SCORES, dtype=np.float64).reshape(2, SCORES)
    parts = unpack(rows)
    assert tuple(parts) == GRIDS
    assert {grid: part.shape for grid, part in parts.items()} == {grid: (2, *SHAPES[grid]) for grid in GRIDS}
    for index in range(2):
        np.testing.assert_array_equal(_row({grid: part[index] for grid, part in parts.items()}), rows[index])


@pytest.mark.parametrize(
    ("grid", "at", "statistic"),
    [
        ("aac", 1_000, _EXACT),
        ("mp3", 5, _RELATIVE),
        ("mp2", 31, _EXACT),
        ("opus_44k1", 881, _RELATIVE),
        ("ac3_lattice", 77, _EXACT),
        ("wma", 0, _EXACT),
    ],
)
def test_weak_lines_at_the_common_offset_add_up(grid: str, at: int, statistic: int) -> None:
    """Guards the alignment: 4 sigma in each part are nothing alone, and the grid of the track together."""
    rows = _rows(_STARTS, grid, at, [(4.0, 4.0)] * 3, statistic)
    table = combine(rows, _STARTS)
    assert table.shape == (len(GRIDS), COLUMNS)
    assert _cell(table, grid, statistic) == (pytest.approx((6 - 1) * 4.0 / 5**0.5, rel=0.15), at)
    table[GRIDS.index(grid), 2 * statistic] = 0.0
    assert table[:, 0::2].max() < _CHANCE
    # Where the lines fall on different offsets of the track, nothing adds up.
    assert combine(rows, (0, 150_002, 401_240))[:, 0::2].max() < _CHANCE


@pytest.mark.parametrize("starts", [_STARTS[:1], _STARTS])
def test_one_part_alone_proves_nothing(starts: Sequence[int]) -> None:
    """Guards the restraint: the edge of one drum hit stands out like a quantiser, in one half of one segment."""
    levels = [(300.0, 0.0), *[(0.0, 0.0)] * (len(starts) - 1)]
    assert combine(_rows(starts, "mp3", 100, levels), starts)[:, 0::2].max() < _CHANCE


def test_halves_that_disagree_prove_nothing() -> None:
    """Guards the common offset within a segment: two edges next to silence fall on two offsets."""
    curves = _noise(1)
    curves["aac"][_EXACT, 0, 20] = curves["aac"][_EXACT, 1, 900] = 300.0
    assert combine(_row(curves)[None], [0])[:, 0::2].max() < _CHANCE


def test_a_segment_alone_is_worth_what_its_weaker_half_says() -> None:
    """Guards the score of one segment, and that offset and score belong together."""
    rows = _rows((1_030,), "aac", 700, [(9.0, 30.0)])
    assert _cell(combine(rows, (1_030,)), "aac", _EXACT) == (9.0, 700)
    assert _cell(combine(rows, (0,)), "aac", _EXACT) == (9.0, (700 - 1_030) % 1_024)


def test_an_insert_in_one_of_several_segments_is_found() -> None:
    """Guards lossy parts of a track: what one segment says in both halves counts in full beside silent others."""
    starts = tuple(200_003 * index for index in range(6))
    levels = [(0.0, 0.0)] * 6
    levels[4] = (13.0, 12.0)
    search = search_track(_rows(starts, "vorbis", 333, levels).__getitem__, range(6), starts, None)
    assert _cell(search.table, "vorbis", _EXACT) == (12.0, 333)
    assert search.best_z == 12.0
    assert int(np.argmax(search.segment_z)) == 4
    assert np.delete(search.segment_z, 4).max() < _CHANCE


def test_the_best_of_both_statistics_is_named() -> None:
    """Guards the columns: z and offset by turns, the exact statistic first."""
    table = np.zeros((len(GRIDS), COLUMNS))
    table[GRIDS.index("aac")] = (8.0, 1_000.0, 5.0, 3.0)
    table[GRIDS.index("mp3")] = (2.0, 900.0, 9.0, 100.0)
    search = TrackSearch(table, (0,), (0,), np.zeros(1))
    assert (search.best_z, GRIDS[search.best_grid], search.best_statistic) == (9.0, "mp3", _RELATIVE)
    assert search.offset_in(0) == 100
    assert search.offset_in(576 + 101) == 575


@pytest.mark.parametrize("statistic", [_EXACT, _RELATIVE])
def test_offset_and_score_of_a_segment_belong_together(statistic: int) -> None:
    """Guards what the verdict says: at the offset that is named, this segment shows just this score."""
    starts = (0, 150_001, 401_237, 700_000)
    rows = _rows(starts, "mp3", 250, [(7.0, 5.0), (0.0, 0.0), (11.0, 14.0), (6.0, 8.0)], statistic)
    search = search_track(rows.__getitem__, (3, 0, 2), starts, None)
    assert search.segments == (3, 0, 2)
    assert search.starts == (700_000, 0, 401_237)
    assert search.segment_z.tolist() == [6.0, 5.0, 11.0]
    for start, index, z in zip(search.starts, search.segments, search.segment_z, strict=True):
        parts = unpack(rows[index : index + 1])["mp3"][0, statistic]
        assert parts[:, search.offset_in(start)].min() == z


class _Runs:
    """Segments that are searched on demand, and which were."""

    def __init__(self, levels: Sequence[float], starts: Sequence[int]) -> None:
        self._rows = _rows(starts, "aac", 40, [(level, level) for level in levels])
        self.calls: list[int] = []

    def __call__(self, index: int) -> NDArray[np.float64]:
        self.calls.append(index)
        return self._rows[index]


@pytest.mark.parametrize(
    ("levels", "most", "searched"),
    [
        ((0.0, 0.0, CLEAR + 1.0), 3, [2]),  # clear at once
        ((0.0, 0.0, CLEAR - 6.0), 3, [2, 0, 1]),  # never clear
        ((CLEAR - 1.0, 0.0, CLEAR - 1.0), 3, [2, 0]),  # clear with the second
        ((0.0, 0.0, 0.0), 2, [2, 0]),
        ((0.0, 0.0, 0.0), 9, [2, 0, 1]),  # no more than there are
        ((0.0, 0.0, CLEAR + 1.0), None, [2, 0, 1]),
    ],
)
def test_the_search_ends_when_something_is_clear(
    levels: Sequence[float], most: int | None, searched: list[int]
) -> None:
    """Guards the cost, a CPU-second a segment, and that None hears the whole track in spite of it."""
    run = _Runs(levels, _STARTS)
    search = search_track(run, (2, 0, 1), _STARTS, most)
    assert run.calls == searched
    assert search.segments == tuple(searched)
    assert search.starts == tuple(_STARTS[index] for index in searched)
    assert search.segment_z.shape == (len(searched),)


def test_silence_is_no_grid() -> None:
    """Guards the search of a track that scores nothing at all: zero, not an error."""
    search = search_track(lambda _: np.zeros(SCORES), (1, 0), _STARTS[:2], 3)
    assert search.best_z == 0.0
    assert search.segment_z.tolist() == [0.0, 0.0]


def test_a_segment_that_repeats_another_counts_once() -> None:
    """Guards loops: at 120 BPM a beat is a whole number of Opus frames, and the same chance line comes each time."""
    curves = _noise(1)
    curves["opus_44k1"][_RELATIVE, :, 300] = 6.0
    once = combine(np.stack([_row(curves)]), [0])
    thrice = combine(np.stack([_row(curves)] * 3), [0, 882 * 50, 882 * 200])
    assert _cell(thrice, "opus_44k1", _RELATIVE) == pytest.approx(_cell(once, "opus_44k1", _RELATIVE))


def test_parts_that_are_alike_are_scaled_by_their_own_spread() -> None:
    """Guards music that half repeats: parts that share their noise must not add up as if they were independent."""
    rng = np.random.default_rng(4)
    rows = []
    shared = _noise(7)
    for _ in range(3):
        own = {grid: 0.7 * shared[grid] + 0.7 * rng.standard_normal(shape) for grid, shape in SHAPES.items()}
        rows.append(_row(own))
    frame = int(np.lcm.reduce([shape[-1] for shape in SHAPES.values()]))
    assert combine(np.stack(rows), [0, frame, 2 * frame])[:, 0::2].max() < _CHANCE
