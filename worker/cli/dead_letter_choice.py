"""Which dead letters a command is about.  Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.exceptions import SettingsError
from worker.records import DeadLetter, DeadLetterReason
from worker.verdict import dead_letter_id

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)/(?P<partition>[0-9]{1,10})/(?P<offset>[0-9]{1,19})")
_OFFSETS = re.compile(r"(?P<first>[0-9]{1,19})(-(?P<last>[0-9]{1,19}))?")

Place = tuple[int, int]  # partition and offset in the dead-letters topic


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter with its place in the dead-letters topic."""

    letter: DeadLetter
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Dead letters for which all that is set holds.

    Attributes:
        ids: one of these ids, or of these places.
        places: see `ids`.
        reasons: one of these reasons.
        since: given up then or later.
        until: given up before.
        source_topic: their event stands in this topic …
        source_partition: … in this partition …
        source_offsets: … between these two offsets, both included.
    """

    ids: frozenset[UUID] = frozenset()
    places: frozenset[Place] = frozenset()
    reasons: frozenset[DeadLetterReason] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    source_topic: str | None = None
    source_partition: int | None = None
    source_offsets: tuple[int, int] | None = None

    @property
    def takes_all(self) -> bool:
        """Whether nothing is set."""
        return self == Choice()

    def takes(self, stored: StoredLetter) -> bool:
        """Whether this one is meant."""
        letter, source = stored.letter, stored.letter.source
        named = letter.dead_letter_id in self.ids or (stored.partition, stored.offset) in self.places
        first, last = self.source_offsets or (0, source.offset)
        return (
            (named or not (self.ids or self.places))
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
            and self.source_topic in {None, source.topic}
            and self.source_partition in {None, source.partition}
            and first <= source.offset <= last
        )


def named(references: list[str], dead_letters_topic: str) -> tuple[frozenset[UUID], frozenset[Place]]:
    """Turn names of dead letters into ids and places.

    A name is the dead letter's id, or `topic/partition/offset`: of the event,
    or of the dead letter itself where the topic is that of the dead letters.

    Raises:
        SettingsError: one is neither.
    """
    ids, places = set(), set()
    for reference in references:
        if _UUID.fullmatch(reference):
            ids.add(UUID(reference))
        elif found := _PLACE.fullmatch(reference):
            topic, partition, offset = found["topic"], int(found["partition"]), int(found["offset"])
            if topic == dead_letters_topic:
                places.add((partition, offset))
            else:
                ids.add(dead_letter_id(topic, partition, offset))
        else:
            raise SettingsError(f"{reference!r} names no dead letter; give its id, or topic/partition/offset.")
    return frozenset(ids), frozenset(places)


def offset_range(text: str) -> tuple[int, int]:
    """Read `120` or `120-150`.

    Raises:
        SettingsError: it is neither, or ends before it begins.
    """
    found = _OFFSETS.fullmatch(text)
    if found is None or int(found["last"] or found["first"]) < int(found["first"]):
        raise SettingsError(f"{text!r} is no range of offsets; write 120 or 120-150.")
    return int(found["first"]), int(found["last"] or found["first"])
