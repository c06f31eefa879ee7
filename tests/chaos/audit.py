"""Compares what was sent with what came out: lost, duplicated, misordered, stuck.  Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum

Partition = tuple[str, int]
Place = tuple[str, int, int]  # topic, partition, offset


class Kind(StrEnum):
    """What an event may end in."""

    VERDICT = "verdict"
    DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Event:
    """A record of the deliveries topic, read from its start."""

    place: Place
    name: str  # unique; how the sender knows it
    expected: Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """A committed record of the verdicts or dead-letters topic, read from its start."""

    source: Place  # of its event
    kind: Kind
    partition: int  # of its own topic
    offset: int


@dataclass(frozen=True, slots=True)
class Postponed:
    """A committed record of the retries topic, read from its start."""

    place: Place
    source: Place  # of its event
    attempt: int


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen.

    Attributes:
        acknowledged: names of the events that the brokers said they hold.
        events: the deliveries topic.
        outcomes: the verdicts and dead-letters topics.
        committed: offsets of the group at the end: the next event of each partition.
        commit_history: the same, noted from time to time, oldest first.
        postponed: the retries topic.
    """

    acknowledged: Collection[str]
    events: Sequence[Event]
    outcomes: Sequence[Outcome]
    committed: Mapping[Partition, int]
    commit_history: Sequence[Mapping[Partition, int]] = ()
    postponed: Sequence[Postponed] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What went wrong, one sentence each; empty where all is well."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    misordered: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    mistaken: list[str] = field(default_factory=list)  # ended, but as the wrong thing, or from no event

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(getattr(self, each.name) for each in fields(self))

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {each.name: len(getattr(self, each.name)) for each in fields(self)}


def audit(seen: Observation) -> Findings:
    """Find what the guarantee excludes.

    An event is *lost* that was acknowledged and is not in its topic, or has no outcome;
    *duplicated* that has more than one, or was postponed twice for the same try;
    *stuck* that the group's offsets have not passed, in the deliveries topic or in that of the retries.
    Outcomes are *misordered* where two events of one partition have theirs in one partition of the same topic
    the other way round, unless one was postponed, and commits where an offset went back.
    """
    found = Findings()
    by_source: defaultdict[Place, list[Outcome]] = defaultdict(list)
    for outcome in seen.outcomes:
        by_source[outcome.source].append(outcome)

    for name in sorted(set(seen.acknowledged) - {event.name for event in seen.events}):
        found.lost.append(f"{name} was acknowledged and is not in its topic")
    for event in seen.events:
        outcomes = by_source.pop(event.place, [])
        if not outcomes:
            found.lost.append(f"{event.name} at {_text(event.place)} has no outcome")
        if len(outcomes) > 1:
            found.duplicated.append(f"{event.name} at {_text(event.place)} has {len(outcomes)} outcomes")
        if outcomes and outcomes[0].kind is not event.expected:
            found.mistaken.append(f"{event.name} ended as {outcomes[0].kind}, not as {event.expected}")
        if _is_behind(event.place, seen.committed):
            found.stuck.append(f"{event.name} at {_text(event.place)} lies behind the committed offset")
    _audit_postponed(seen, found)
    found.mistaken.extend(f"an outcome names {_text(place)}, where no event is" for place in by_source)
    late = {each.source for each in seen.postponed}
    found.misordered.extend(_outcomes_out_of_order(each for each in seen.outcomes if each.source not in late))
    found.misordered.extend(_commits_out_of_order([*seen.commit_history, seen.committed]))
    return found


def _audit_postponed(seen: Observation, found: Findings) -> None:
    tries = Counter((each.source, each.attempt) for each in seen.postponed)
    for (place, attempt), count in tries.items():
        if count > 1:
            found.duplicated.append(f"the event at {_text(place)} was postponed {count} times for its try {attempt}")
    for each in seen.postponed:
        if _is_behind(each.place, seen.committed):
            found.stuck.append(f"try {each.attempt} of {_text(each.source)} lies behind the committed offset")


def _is_behind(place: Place, committed: Mapping[Partition, int]) -> bool:
    topic, partition, offset = place
    return offset >= committed.get((topic, partition), 0)


def _outcomes_out_of_order(outcomes: Iterable[Outcome]) -> list[str]:
    problems = []
    last: dict[tuple[Kind, int, Partition], int] = {}
    for outcome in sorted(outcomes, key=lambda each: (each.kind, each.partition, each.offset)):
        topic, partition, offset = outcome.source
        lane = (outcome.kind, outcome.partition, (topic, partition))
        if offset < last.get(lane, -1):
            problems.append(f"the {outcome.kind} of {_text(outcome.source)} stands after that of offset {last[lane]}")
        last[lane] = max(offset, last.get(lane, -1))
    return problems


def _commits_out_of_order(history: Iterable[Mapping[Partition, int]]) -> list[str]:
    problems = []
    highest: dict[Partition, int] = {}
    for noted in history:
        for partition, offset in noted.items():
            if offset < highest.get(partition, 0):
                problems.append(
                    f"the offset of {partition[0]}/{partition[1]} went back: {highest[partition]} to {offset}"
                )
            highest[partition] = max(offset, highest.get(partition, 0))
    return problems


def _text(place: Place) -> str:
    return "/".join(map(str, place))
