"""Compares what two sides said of the same events.  Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from worker.records import Verdict

Event = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True, slots=True)
class Said:
    """What is compared of a verdict."""

    delivery_id: str
    provider: str
    decision: str  # accept, reject, review
    reason: str
    probability: float | None
    codec: str | None

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Take it from a verdict."""
        judgement = verdict.judgement
        return cls(
            verdict.delivery.delivery_id,
            verdict.delivery.provider,
            judgement.decision.value.lower(),
            judgement.reason.value,
            judgement.probability,
            judgement.codec,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One event and both sides' words on it; None where a side says nothing."""

    event: Event
    left: Said | None
    right: Said | None

    @property
    def difference(self) -> float | None:
        """Probability on the right less that on the left; None where one has none."""
        if self.left is None or self.right is None:
            return None
        if self.left.probability is None or self.right.probability is None:
            return None
        return self.right.probability - self.left.probability


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides next to each other, in the order of the events."""

    pairs: tuple[Pair, ...]

    @property
    def both(self) -> int:
        """Events that both sides judged."""
        return sum(each.left is not None and each.right is not None for each in self.pairs)

    @property
    def only_left(self) -> tuple[Pair, ...]:
        """Events that only the left side judged."""
        return tuple(each for each in self.pairs if each.right is None)

    @property
    def only_right(self) -> tuple[Pair, ...]:
        """Events that only the right side judged."""
        return tuple(each for each in self.pairs if each.left is None)

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """How many went from which decision to which."""
        return Counter(
            (each.left.decision, each.right.decision)
            for each in self.pairs
            if each.left is not None and each.right is not None
        )

    def most_changed(self, count: int) -> list[Pair]:
        """Return the events whose probability changed most, largest change first."""
        scored = [(abs(each.difference), each) for each in self.pairs if each.difference is not None]
        scored.sort(key=lambda pair: (-pair[0], pair[1].event))
        return [each for change, each in scored[:count] if change > 0]


def compare(left: Iterable[tuple[Event, Said]], right: Iterable[tuple[Event, Said]]) -> Comparison:
    """Put two sides next to each other; where a side speaks of an event twice, its last word counts."""
    lefts, rights = dict(left), dict(right)
    events = sorted(lefts.keys() | rights.keys())
    return Comparison(tuple(Pair(each, lefts.get(each), rights.get(each)) for each in events))
