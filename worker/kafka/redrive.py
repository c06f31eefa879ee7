"""Dead letters to the events they were, to be sent again.  Pure."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from worker.constants import REDRIVE_COUNT_HEADER, REDRIVE_HEADER
from worker.records import DeadLetter

Headers = tuple[tuple[str, bytes | None], ...]

_OURS: Final = {REDRIVE_HEADER, REDRIVE_COUNT_HEADER}
_MOST_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Redrive:
    """An event to be sent again: what it was, with two headers that say so."""

    dead_letter_id: UUID
    topic: str
    partition: int | None  # None: as the key says
    key: bytes | None
    value: bytes
    headers: Headers


def redrives_of(headers: Headers) -> int:
    """How many times an event with these headers has been sent again; whatever makes no sense counts as never."""
    counts = [content for name, content in headers if name == REDRIVE_COUNT_HEADER and content]
    return int(counts[-1]) if counts and counts[-1].isdigit() and len(counts[-1]) <= _MOST_DIGITS else 0


def letter_of(headers: Headers) -> UUID | None:
    """The dead letter that an event with these headers was; None where it was none."""
    for name, content in reversed(headers):
        if name == REDRIVE_HEADER and content:
            try:
                return UUID(content.decode("ascii"))
            except ValueError:
                return None
    return None


def make_redrive(letter: DeadLetter, to: str | None, partitions: int) -> Redrive:
    """Event of a dead letter that has its value.

    Back in its own topic it goes to its own partition, so that it meets what came before it with the same key.

    Args:
        letter: with a value.
        to: another topic than the event's own.
        partitions: how many the target has.

    Raises:
        ValueError: the letter has no value.
    """
    if letter.value is None:
        msg = f"dead letter {letter.dead_letter_id} has no value"
        raise ValueError(msg)
    topic = to or letter.source.topic
    is_at_home = topic == letter.source.topic and letter.source.partition < partitions
    return Redrive(
        letter.dead_letter_id,
        topic,
        letter.source.partition if is_at_home else None,
        letter.key,
        letter.value,
        (
            *((name, content) for name, content in letter.headers if name not in _OURS),
            (REDRIVE_HEADER, str(letter.dead_letter_id).encode()),
            (REDRIVE_COUNT_HEADER, str(redrives_of(letter.headers) + 1).encode()),
        ),
    )
