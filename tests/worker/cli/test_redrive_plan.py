"""Which dead letters are sent again, and with what."""

from dataclasses import replace
from uuid import UUID

import pytest

from tests.worker.cli.test_dead_letter_choice import LETTER
from worker.cli.dead_letter_choice import StoredLetter
from worker.cli.redrive_plan import Fate, plan
from worker.constants import REDRIVE_COUNT_HEADER, REDRIVE_HEADER
from worker.kafka.redrive import letter_of, make_redrive, redrives_of
from worker.records import Coordinates


def _letters() -> list[StoredLetter]:
    letters = [replace(LETTER, dead_letter_id=UUID(int=number)) for number in range(7)]
    letters[1] = replace(letters[1], value=None)
    letters[2] = replace(letters[2], source=Coordinates("elsewhere", 0, 0))
    letters[4] = letters[0]
    return [StoredLetter(letter, 0, number) for number, letter in enumerate(letters)]


def test_each_letter_has_its_fate() -> None:
    """Letters without bytes, of other topics, sent before, held twice and over the limit are left out and named."""
    fates = [each.fate for each in plan(_letters(), sent_before={UUID(int=3)}, limit=2, deliveries_topic="in", to=None)]
    assert fates == [
        Fate.SEND,
        Fate.NO_VALUE,
        Fate.FOREIGN,
        Fate.SENT_BEFORE,
        Fate.TWICE,
        Fate.SEND,
        Fate.OVER_LIMIT,
    ]


def test_named_target_takes_letters_of_any_topic() -> None:
    """With --to it does not matter where the event came from."""
    planned = plan(_letters()[2:3], sent_before=set(), limit=None, deliveries_topic="in", to="out")
    assert [each.fate for each in planned] == [Fate.SEND]


def test_event_is_sent_as_it_was_with_two_headers() -> None:
    """Key, value and other headers stay; a letter of a redriven event counts on and names the newer letter only."""
    letter = replace(
        LETTER,
        key=b"\xff",
        headers=(("trace", b"\x01"), ("trace", None), (REDRIVE_HEADER, b"old"), (REDRIVE_COUNT_HEADER, b"2")),
    )
    redrive = make_redrive(letter, None, 4)
    assert (redrive.topic, redrive.partition, redrive.key, redrive.value) == ("in", 2, b"\xff", b"x")
    assert redrive.headers == (
        ("trace", b"\x01"),
        ("trace", None),
        (REDRIVE_HEADER, str(letter.dead_letter_id).encode()),
        (REDRIVE_COUNT_HEADER, b"3"),
    )
    assert letter_of(redrive.headers) == letter.dead_letter_id
    assert redrives_of(redrive.headers) == 3


def test_partition_is_kept_at_home_only() -> None:
    """In another topic, or where the partition is gone, the key says where the event goes."""
    assert make_redrive(LETTER, "out", 4).partition is None
    assert make_redrive(LETTER, None, 2).partition is None


@pytest.mark.parametrize("count", [b"", b"x", b"-1", b"9" * 100, None])
def test_counts_of_strangers(count: bytes | None) -> None:
    """A count that makes no sense is none."""
    assert redrives_of(((REDRIVE_COUNT_HEADER, count),)) == 0
    assert letter_of(((REDRIVE_HEADER, count),)) is None
