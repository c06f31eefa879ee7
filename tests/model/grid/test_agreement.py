"""The same grid in several segments of a track."""

import pytest

from model.grid.agreement import log10_chance, shared_offset


def test_segments_of_one_decode_share_the_offset() -> None:
    """Guards the sign: later starts show smaller offsets on the same grid."""
    starts = [0, 131_072, 500_000, 700_001]
    offsets = [(300 - start) % 882 for start in starts]
    offsets[2] = 17  # a transient spoiled one
    assert shared_offset(offsets, starts, 882) == (300, 3)


def test_chance_is_none_for_one_and_falls_with_each_further_segment() -> None:
    """Guards the bound: a single segment proves nothing, three of four prove a lot."""
    assert log10_chance(1, 1, 882) == 0.0
    assert log10_chance(1, 4, 882) == 0.0
    assert log10_chance(2, 2, 882) == pytest.approx(-2.945, abs=1e-3)
    assert log10_chance(3, 4, 882) < -5.0
