"""Which offsets a replay covers."""

import pytest

from worker.exceptions import SettingsError
from worker.replay.ranges import OffsetRange, asked_offsets, resolve

BOUNDS = {0: (10, 100), 1: (0, 50), 2: (7, 7)}


def test_without_a_word_all_that_is_there_now() -> None:
    """The end is fixed, and a partition without an event is no part of the plan."""
    assert resolve(BOUNDS, {}) == {0: OffsetRange(10, 100), 1: OffsetRange(0, 50)}


def test_offsets_and_times_cut_each_other() -> None:
    """The last offset is included; what retention took and what is not written yet is left out."""
    asked = asked_offsets(["0/5-19", "1/40-"])
    assert resolve(BOUNDS, asked) == {0: OffsetRange(10, 20), 1: OffsetRange(40, 50)}
    since, until = {0: 12, 1: 50, 2: 7}, {0: 15, 1: 50, 2: 7}
    assert resolve(BOUNDS, asked, since, until) == {0: OffsetRange(12, 15)}


@pytest.mark.parametrize("text", ["", "1", "1/2", "1/5-4", "a/1-2", "1/-2", "-1/1-2", "1/1-2x", "\u0661/1-2"])
def test_what_is_no_range_is_refused_by_name(text: str) -> None:
    """A typing error must not turn into the whole topic."""
    with pytest.raises(SettingsError, match="no range of offsets"):
        asked_offsets([text])


def test_what_can_not_be_met_is_refused() -> None:
    """Partitions that don't exist, one given twice, and a range that holds nothing."""
    with pytest.raises(SettingsError, match="no partition 3"):
        resolve(BOUNDS, {3: (0, None)})
    with pytest.raises(SettingsError, match="given twice"):
        asked_offsets(["1/0-3", "1/9-12"])
    with pytest.raises(SettingsError, match="0/10-99"):
        resolve(BOUNDS, {2: (0, None)})
