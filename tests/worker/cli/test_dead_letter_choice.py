"""Which dead letters a command is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from worker.cli.dead_letter_choice import Choice, StoredLetter, named, offset_range
from worker.exceptions import SettingsError
from worker.records import Coordinates, DeadLetter, DeadLetterReason
from worker.verdict import dead_letter_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LETTER = DeadLetter(
    dead_letter_id=dead_letter_id("in", 2, 40),
    reason=DeadLetterReason.UNDECODABLE,
    detail="Not Avro.",
    source=Coordinates("in", 2, 40),
    key=None,
    value=b"x",
    headers=(),
    worker_version="0",
    failed_at=NOON,
)
STORED = StoredLetter(LETTER, partition=0, offset=7)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("choice", "is_taken"),
    [
        (Choice(), True),
        (Choice(ids=frozenset({LETTER.dead_letter_id})), True),
        (Choice(ids=frozenset({UUID(int=1)})), False),
        (Choice(places=frozenset({(0, 7)})), True),
        (Choice(places=frozenset({(1, 7)})), False),
        (Choice(ids=frozenset({UUID(int=1)}), places=frozenset({(0, 7)})), True),
        (Choice(ids=frozenset({LETTER.dead_letter_id}), reasons=frozenset({DeadLetterReason.TRAILING_BYTES})), False),
        (Choice(reasons=frozenset({DeadLetterReason.UNDECODABLE, DeadLetterReason.TRAILING_BYTES})), True),
        (Choice(since=NOON, until=NOON + HOUR), True),
        (Choice(since=NOON + HOUR), False),
        (Choice(until=NOON), False),
        (Choice(source_topic="in", source_partition=2, source_offsets=(40, 40)), True),
        (Choice(source_topic="out"), False),
        (Choice(source_partition=0), False),
        (Choice(source_offsets=(41, 50)), False),
        (Choice(source_offsets=(0, 39)), False),
    ],
)
def test_all_that_is_set_must_hold(choice: Choice, *, is_taken: bool) -> None:
    """Each condition counts alone, ids and places count as one, and the conditions add up."""
    assert choice.takes(STORED) is is_taken


def test_partition_and_offset_zero_are_conditions() -> None:
    """Zero is a number like any other, not "unset"."""
    at_zero = StoredLetter(replace(LETTER, source=Coordinates("in", 0, 0)), 0, 0)
    assert Choice(source_partition=0, source_offsets=(0, 0)).takes(at_zero)
    assert not Choice(source_offsets=(0, 0)).takes(STORED)
    assert not Choice(source_partition=0).takes_all


def test_names_by_id_by_event_and_by_place() -> None:
    """A letter is found by its id, by where its event stands, and by where it stands itself."""
    ids, places = named([str(UUID(int=5)), "in/2/40", "dead/0/7"], "dead")
    assert ids == {UUID(int=5), LETTER.dead_letter_id}
    assert places == {(0, 7)}


@pytest.mark.parametrize("reference", ["", "in/2", "in/2/x", "a b/0/1", "{5}", "\x1b[31m/0/1"])
def test_names_that_make_no_sense(reference: str) -> None:
    """What is neither id nor coordinates is refused, not passed over."""
    with pytest.raises(SettingsError, match="names no dead letter"):
        named([reference], "dead")


@pytest.mark.parametrize(("text", "expected"), [("7", (7, 7)), ("7-9", (7, 9))])
def test_offset_ranges(text: str, expected: tuple[int, int]) -> None:
    """One offset, or two with both included."""
    assert offset_range(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "9-7", "1-2-3", "x"])
def test_offset_ranges_that_make_no_sense(text: str) -> None:
    """A range that ends before it begins would silently choose nothing."""
    with pytest.raises(SettingsError, match="no range"):
        offset_range(text)
