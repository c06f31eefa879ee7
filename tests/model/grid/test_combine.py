"""Several segments together: what agrees counts, what one stretch says alone does not."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.grid.combine import (
    COLUMNS,
    FINENESS,
    SCORES,
    SHAPES,
    STATISTICS,
    Scores,
    Table,
    alone,
    best_offsets,
    likeness,
    place,
    table_of,
    track_curves,
    unpack,
)
from model.grid.evidence import HALVES
from model.grid.names import GRIDS, RESAMPLED
from tests.model.grid.score_rows import CHANCE, EXACT, RATE_HZ, RELATIVE, STARTS, cell, noise, row_of, rows_of


def _combine(scores: Scores, starts: Sequence[int]) -> Table:
    """Rows to each grid's best offset."""
    return table_of(track_curves(scores, starts, RATE_HZ))


def test_the_shapes_are_those_of_the_codecs_frames() -> None:
    """Guards the layout of stored searches: another number of offsets or statistics would be read as noise."""
    assert tuple(SHAPES) == GRIDS
    assert {grid: shape[-1] for grid, shape in SHAPES.items()} == {
        "aac": 1_024,
        "aac_sine": 1_024,
        "aac_short": 128,
        "aac_short_sine": 128,
        "aac_half": 2_048,
        "aac_lattice": 1_024,
        "ac3": 256,
        "ac3_lattice": 256,
        "mp2": 32,
        "mp3": 576,
        "mp3_lattice": 576,
        "mp3_short": 192,
        "opus_44k1": 882 * 40,
        "opus_48k": 960,
        "opus_44k1_lattice": 882,
        "opus_48k_lattice": 960,
        "vorbis": 1_024,
        "vorbis_short": 128,
        "vorbis_lattice": 128,
        "wma": 2_048,
        "dts": 32,
        "sbc": 32,
        "aac_resampled": 1_024 * 40,
        "ac3_resampled": 256 * 40,
        "mp3_resampled": 576 * 40,
        "vorbis_resampled": 1_024 * 40,
    }
    assert all(shape[1] == HALVES for shape in SHAPES.values())
    lattices = {"aac_lattice", "ac3_lattice", "mp3_lattice", "opus_44k1_lattice", "opus_48k_lattice", "vorbis_lattice"}
    others = {"opus_44k1", "dts", "sbc", *RESAMPLED}
    assert {grid for grid, shape in SHAPES.items() if shape[0] == 1} == lattices | others
    assert {grid: steps for grid, steps in FINENESS.items() if steps > 1} == dict.fromkeys(
        ("opus_44k1", *RESAMPLED), 40
    )
    assert sum(int(np.prod(shape)) for shape in SHAPES.values()) == SCORES


@pytest.mark.parametrize(
    ("grid", "sample", "rate_hz", "at"),
    [
        ("mp3", 577, 44_100, 1),
        ("opus_44k1", 883, 44_100, 40),
        ("mp3_resampled", 160, 48_000, 147 * 40),  # 160 samples at 48 kHz are 147 at 44.1
        ("mp3_resampled", 147, 44_100, 160 * 40),
        ("mp3_resampled", 1, 48_000, 37),  # 36.75 steps: to the nearest
        ("ac3_resampled", 10**9, 48_000, 10**9 // 4 * 147 % (256 * 40)),
    ],
)
def test_a_sample_has_its_place_in_every_grid(grid: str, sample: int, rate_hz: int, at: int) -> None:
    """Guards tracks of any length: a grid at another rate counts other samples, and no step may get lost on the way."""
    assert place(grid, sample, rate_hz) == at


def test_rows_are_cut_in_the_order_of_the_grids() -> None:
    """Guards the reading: one grid's scores must not be taken for the next one's, nor one segment's for another's."""
    rows = np.arange(2 * SCORES, dtype=np.float64).reshape(2, SCORES)
    parts = unpack(rows)
    assert tuple(parts) == GRIDS
    assert {grid: part.shape for grid, part in parts.items()} == {grid: (2, *SHAPES[grid]) for grid in GRIDS}
    for index in range(2):
        np.testing.assert_array_equal(row_of({grid: part[index] for grid, part in parts.items()}), rows[index])


@pytest.mark.parametrize(
    ("grid", "at", "statistic"),
    [
        ("aac", 1_000, EXACT),
        ("mp3", 5, RELATIVE),
        ("mp2", 31, EXACT),
        ("opus_44k1", 35_279, EXACT),
        ("ac3_lattice", 77, EXACT),
        ("wma", 0, EXACT),
        ("mp3_resampled", 23_039, EXACT),
    ],
)
def test_weak_lines_at_the_common_offset_add_up(grid: str, at: int, statistic: int) -> None:
    """Guards the alignment: 4 sigma in each part are nothing alone, and the grid of the track together."""
    rows = rows_of(STARTS, grid, at, [(4.0, 4.0)] * 3, statistic)
    table = _combine(rows, STARTS)
    assert table.shape == (len(GRIDS), COLUMNS)
    assert cell(table, grid, statistic) == (pytest.approx((6 - 1) * 4.0 / 5**0.5, rel=0.15), at)
    table[GRIDS.index(grid), 2 * statistic] = 0.0
    assert table[:, 0::2].max() < CHANCE
    # Where the lines fall on different offsets of the track, nothing adds up.
    assert _combine(rows, (0, 150_002, 401_240))[:, 0::2].max() < CHANCE


@pytest.mark.parametrize("starts", [STARTS[:1], STARTS])
def test_one_part_alone_proves_nothing(starts: Sequence[int]) -> None:
    """Guards the restraint: the edge of one drum hit stands out like a quantiser, in one half of one segment."""
    levels = [(300.0, 0.0), *[(0.0, 0.0)] * (len(starts) - 1)]
    assert _combine(rows_of(starts, "mp3", 100, levels), starts)[:, 0::2].max() < CHANCE


def test_halves_that_disagree_prove_nothing() -> None:
    """Guards the common offset within a segment: two edges next to silence fall on two offsets."""
    curves = noise(1)
    curves["aac"][EXACT, 0, 20] = curves["aac"][EXACT, 1, 900] = 300.0
    assert _combine(row_of(curves)[None], [0])[:, 0::2].max() < CHANCE


def test_a_segment_alone_is_worth_what_its_weaker_half_says() -> None:
    """Guards the score of one segment, and that offset and score belong together."""
    rows = rows_of((1_030,), "aac", 700, [(9.0, 30.0)])
    assert cell(_combine(rows, (1_030,)), "aac", EXACT) == (9.0, 700)
    assert cell(_combine(rows, (0,)), "aac", EXACT) == (9.0, (700 - 1_030) % 1_024)


def test_a_segment_that_repeats_another_counts_once() -> None:
    """Guards loops: at 120 BPM a beat is a whole number of Opus frames, and the same chance line comes each time."""
    curves = noise(1)
    curves["opus_44k1"][EXACT, :, 300] = 6.0
    once = _combine(np.stack([row_of(curves)]), [0])
    thrice = _combine(np.stack([row_of(curves)] * 3), [0, 882 * 50, 882 * 200])
    assert cell(thrice, "opus_44k1", EXACT) == pytest.approx(cell(once, "opus_44k1", EXACT))


def test_parts_that_are_alike_are_scaled_by_their_own_spread() -> None:
    """Guards music that half repeats: parts that share their noise must not add up as if they were independent."""
    rng = np.random.default_rng(4)
    rows = []
    shared = noise(7)
    for _ in range(3):
        own = {grid: 0.7 * shared[grid] + 0.7 * rng.standard_normal(shape) for grid, shape in SHAPES.items()}
        rows.append(row_of(own))
    frame = int(np.lcm.reduce([shape[-1] for shape in SHAPES.values()]))
    assert _combine(np.stack(rows), [0, frame, 2 * frame])[:, 0::2].max() < CHANCE


def test_a_grids_best_offsets_are_named_the_best_first() -> None:
    """Guards what is followed: each grid's own highest offsets, whichever statistic saw them."""
    curves = {grid: np.zeros((shape[0], shape[-1])) for grid, shape in SHAPES.items()}
    curves["mp3"][EXACT, 100], curves["mp3"][RELATIVE, (100, 7)] = 4.0, (1.0, 5.0)
    curves["wma"][RELATIVE, 2_047], curves["wma"][EXACT, 30] = 9.0, 8.0
    curves["ac3_lattice"][EXACT, 255] = 1.0
    offsets = best_offsets(curves, 2)
    assert offsets.shape == (2, len(GRIDS))
    assert offsets[:, GRIDS.index("mp3")].tolist() == [7, 100]
    assert offsets[:, GRIDS.index("wma")].tolist() == [2_047, 30]
    assert offsets[0, GRIDS.index("ac3_lattice")] == 255


def test_parts_of_one_sample_are_one_candidate() -> None:
    """Guards the few that are followed: what stands out beside the true part of a sample must not take their places."""
    curves = {grid: np.zeros((shape[0], shape[-1])) for grid, shape in SHAPES.items()}
    curves["opus_44k1"][EXACT, [35_279, 0, 1, 2, 3, 300]] = 7.0, 8.0, 9.0, 8.0, 6.0, 2.0
    curves["opus_44k1"][EXACT, [700, 705, 1_100]] = 4.0, 3.0, 2.0
    curves["aac"][EXACT, [700, 705, 900]] = 4.0, 3.0, 2.0
    offsets = best_offsets(curves, 3)
    assert offsets[:, GRIDS.index("opus_44k1")].tolist() == [1, 700, 1_100]
    assert offsets[:, GRIDS.index("aac")].tolist() == [700, 705, 900]


@pytest.mark.parametrize("grid", ["aac", "opus_44k1", "ac3_resampled"])
def test_segments_are_laid_over_each_other_in_the_grids_own_steps(grid: str) -> None:
    """Guards decodes that were trimmed: an offset of 7 samples and a part stays where it is in every segment."""
    at = 7 * FINENESS[grid] + FINENESS[grid] // 3
    rows = rows_of(STARTS, grid, at, [(4.0, 4.0)] * 3, EXACT)
    z, offset = cell(_combine(rows, STARTS), grid, EXACT)
    assert (z > CHANCE, offset) == (True, at)


def test_the_best_offset_is_the_first_candidate() -> None:
    """Guards the way from the search to following: what the table names is followed before anything else."""
    curves = track_curves(rows_of(STARTS, "vorbis", 900, [(4.0, 4.0)] * 3, RELATIVE), STARTS, RATE_HZ)
    table, offsets = table_of(curves), best_offsets(curves, 8)
    assert offsets[0, GRIDS.index("vorbis")] == 900
    for column, best in enumerate(offsets[0]):
        clearer = int(np.argmax(table[column, 0::2]))
        assert best == table[column, 2 * clearer + 1]
        assert len(set(offsets[:, column])) == 8


@pytest.mark.parametrize("statistic", [EXACT, RELATIVE])
def test_a_segment_by_itself_says_what_its_weaker_half_does(statistic: int) -> None:
    """Guards the evidence of lossy parts: each segment at its own offset, by the named statistic."""
    rows = rows_of(STARTS, "mp3", 250, [(7.0, 5.0), (0.0, 0.0), (11.0, 14.0)], statistic)
    offsets = [(250 - start) % 576 for start in STARTS]
    assert alone(rows, "mp3", statistic, offsets).tolist() == [5.0, 0.0, 11.0]
    assert alone(rows, "mp3", 1 - statistic, offsets).max() < CHANCE


def test_different_audio_is_unlike_and_a_codec_makes_nothing_alike() -> None:
    """Guards short blocks' inflation: noise, and the line of a codec at its common offset, are no repetition."""
    found = likeness(rows_of(STARTS, "vorbis_short", 100, [(30.0, 30.0)] * 3), STARTS, RATE_HZ)
    assert found.shape == (len(GRIDS), len(STATISTICS))
    assert found.min() == 0.0
    assert found.max() < 0.2


@pytest.mark.parametrize(("statistic", "both"), [(EXACT, True), (RELATIVE, False)])
def test_a_loop_is_alike_at_its_offset_in_the_track(statistic: int, *, both: bool) -> None:
    """Guards loops: the same scores, each from its segment's own start; relative holes are as alike as exact ones."""
    loop, grid = noise(9)["aac_short"][statistic], GRIDS.index("aac_short")
    rows = []
    for seed, start in enumerate(STARTS):
        curves = noise(seed)
        curves["aac_short"][statistic] = np.roll(loop, -start, axis=-1) + 0.2 * curves["aac_short"][statistic]
        rows.append(row_of(curves))
    found = likeness(np.stack(rows), STARTS, RATE_HZ)
    assert found[grid, statistic] > 0.8
    assert (found[grid].min() > 0.8) == both
    assert np.delete(found, grid, axis=0).max() < 0.2
    assert likeness(np.stack(rows), (0, 0, 0), RATE_HZ)[grid].max() < 0.5


def test_one_segment_and_few_offsets_are_like_nothing() -> None:
    """Guards the edges: nothing to compare with, MP2's 32 offsets, and digital silence."""
    assert likeness(row_of(noise(0))[None], STARTS[:1], RATE_HZ).max() == 0.0
    assert likeness(np.zeros((3, SCORES)), STARTS, RATE_HZ).max() == 0.0
    assert likeness(np.stack([row_of(noise(0))] * 2), (0, 0), RATE_HZ)[GRIDS.index("mp2")].max() == 0.0
