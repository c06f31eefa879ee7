"""Which of the chosen dead letters are sent again, and why the others are not.  Pure."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from worker.cli.dead_letter_choice import StoredLetter


class Fate(StrEnum):
    """What a redrive does with a dead letter."""

    SEND = "send"
    NO_VALUE = "it carries no value: a tombstone, or raw bytes that were left out because they did not fit"
    FOREIGN = "its event came from another topic than the deliveries; name the target with --to"
    SENT_BEFORE = "it was sent again before (--again sends it once more)"
    TWICE = "the topic holds it twice"
    OVER_LIMIT = "it lies beyond --limit"


@dataclass(frozen=True, slots=True)
class Planned:
    """A dead letter and what becomes of it."""

    stored: StoredLetter
    fate: Fate


def plan(
    letters: Iterable[StoredLetter],
    *,
    sent_before: Collection[UUID],
    limit: int | None,
    deliveries_topic: str,
    to: str | None,
) -> Iterator[Planned]:
    """Decide each in turn; the same letters give the same plan.

    Args:
        letters: the chosen ones.
        sent_before: ids of those that stand in the target already.
        limit: so many are sent, at most.
        deliveries_topic: where events come from.
        to: another target, if any.
    """
    sent: set[UUID] = set()
    for stored in letters:
        letter = stored.letter
        if letter.value is None:
            fate = Fate.NO_VALUE
        elif to is None and letter.source.topic != deliveries_topic:
            fate = Fate.FOREIGN
        elif letter.dead_letter_id in sent_before:
            fate = Fate.SENT_BEFORE
        elif letter.dead_letter_id in sent:
            fate = Fate.TWICE
        elif limit is not None and len(sent) >= limit:
            fate = Fate.OVER_LIMIT
        else:
            fate = Fate.SEND
            sent.add(letter.dead_letter_id)
        yield Planned(stored, fate)
