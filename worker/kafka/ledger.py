"""Which outcome may be published when: in the order of the offsets, and for the current owner only.  Pure.

Every assignment of a partition has a number of its own, and a ticket carries the number it was issued under,
so that what was polled before a rebalance is told from what was polled after it.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from worker.kafka.attempts import Mark
from worker.kafka.budget import Budget
from worker.metrics import STALE_OUTCOMES
from worker.records import Coordinates
from worker.tracing import NO_TRACE, DeliveryTrace

OutcomeT = TypeVar("OutcomeT")
Partition = tuple[str, int]  # topic, number


@dataclass(frozen=True, slots=True)
class Ticket:
    """Right to one outcome for one polled event."""

    source: Coordinates
    assignment: int
    size: int  # bytes reserved
    replay_id: str | None = None
    polled_at: float = field(default_factory=time.monotonic, compare=False)  # for the log and the metrics
    trace: DeliveryTrace = field(default=NO_TRACE, compare=False, repr=False)

    @property
    def partition(self) -> Partition:
        """Topic and partition."""
        return self.source.topic, self.source.partition


@dataclass(frozen=True, slots=True)
class ReadyBatch(Generic[OutcomeT]):
    """Outcomes to publish in one transaction."""

    outcomes: tuple[tuple[Ticket, OutcomeT], ...]
    next_offsets: dict[Partition, int]  # to commit with them
    marks: dict[Partition, Mark]  # to go with those offsets


@dataclass(slots=True)
class _Entry(Generic[OutcomeT]):
    ticket: Ticket
    outcome: OutcomeT | None = None
    is_reserved: bool = True
    is_at_work: bool = False


@dataclass(slots=True)
class _Assigned(Generic[OutcomeT]):
    assignment: int
    entries: deque[_Entry[OutcomeT]] = field(default_factory=deque)  # in the order of their offsets
    taken: int = 0  # so many of the first entries are in a transaction
    last_offset: int = -1
    head: int | None = None  # the committed offset, once this owner has committed one
    mark: Mark = field(default_factory=lambda: Mark(is_running=True))  # what stands with it


class Ledger(Generic[OutcomeT]):
    """Keeps the polled events of each assigned partition in order.  Thread-safe.

    Args:
        budget: what is in flight; reserved with `polled`, released when an outcome is committed,
            or dropped because its partition is no longer ours.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._assigned: dict[Partition, _Assigned[OutcomeT]] = {}
        self._open: dict[Ticket, _Entry[OutcomeT]] = {}  # without an outcome, of this and earlier assignments
        self._at_work = 0
        self._last_assignment = 0
        self._turn = 0
        self._changed = threading.Condition()

    @property
    def partitions(self) -> frozenset[Partition]:
        """Partitions held."""
        with self._changed:
            return frozenset(self._assigned)

    @property
    def unsettled(self) -> int:
        """Events of the held partitions that are polled and not yet committed."""
        with self._changed:
            return sum(len(each.entries) for each in self._assigned.values())

    @property
    def oldest_unsettled_s(self) -> float:
        """Seconds since the poll of the oldest event without a committed outcome; 0 if there is none."""
        with self._changed:
            polled_at = [each.entries[0].ticket.polled_at for each in self._assigned.values() if each.entries]
        return time.monotonic() - min(polled_at) if polled_at else 0.0

    def first_open(self, partition: Partition) -> int | None:
        """Offset of the first event of a held partition without a committed outcome."""
        with self._changed:
            assigned = self._assigned.get(partition)
            return assigned.entries[0].ticket.source.offset if assigned and assigned.entries else None

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Begin a new assignment of these partitions."""
        with self._changed:
            for partition in partitions:
                self._begin(partition)

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Forget these partitions.  What is still being judged for them will be dropped when it comes."""
        with self._changed:
            for partition in partitions:
                self._forget(partition)
            self._changed.notify_all()

    def polled(
        self, source: Coordinates, size: int, replay_id: str | None = None, trace: DeliveryTrace = NO_TRACE
    ) -> Ticket | None:
        """Enter a polled event; None if its partition isn't held.

        An offset that does not follow the last one means that the broker lost part of its log and
        the consumer starts again further back: that is a new assignment.
        """
        with self._changed:
            partition = (source.topic, source.partition)
            assigned = self._assigned.get(partition)
            if assigned is None:
                return None
            if source.offset <= assigned.last_offset:
                assigned = self._begin(partition)
            ticket = Ticket(source, assigned.assignment, size, replay_id, trace=trace)
            entry: _Entry[OutcomeT] = _Entry(ticket)
            assigned.entries.append(entry)
            assigned.last_offset = source.offset
            self._open[ticket] = entry
            self._budget.reserve(size)
            return ticket

    @property
    def at_work(self) -> int:
        """Events that `started` was told of and that have no outcome yet, those of earlier assignments too."""
        with self._changed:
            return self._at_work

    def started(self, ticket: Ticket) -> None:
        """Note that an event is being judged now, or waits for a lane."""
        with self._changed:
            entry = self._open.get(ticket)
            if entry is not None and not entry.is_at_work:
                entry.is_at_work = True
                self._at_work += 1

    def is_open(self, ticket: Ticket) -> bool:
        """Whether this ticket has neither an outcome nor been dropped."""
        with self._changed:
            return ticket in self._open

    def is_first(self, ticket: Ticket) -> bool:
        """Whether this event is not committed, and all before it are."""
        with self._changed:
            assigned = self._assigned.get(ticket.partition)
            return bool(assigned and assigned.entries and assigned.entries[0].ticket == ticket)

    def standing(self, partition: Partition) -> tuple[int | None, Mark]:
        """Committed offset and mark of a partition; no offset if it isn't held, or none is known for certain."""
        with self._changed:
            assigned = self._assigned.get(partition)
            if assigned is None or assigned.taken:
                return None, Mark(is_running=True)
            return assigned.head, assigned.mark

    def note_mark(self, partition: Partition, head: int, mark: Mark) -> None:
        """Note what was committed without an outcome."""
        with self._changed:
            if (assigned := self._assigned.get(partition)) is not None:
                assigned.head, assigned.mark = head, mark

    def is_current(self, ticket: Ticket) -> bool:
        """Whether an outcome for this ticket would still be published."""
        with self._changed:
            assigned = self._assigned.get(ticket.partition)
            return ticket in self._open and assigned is not None and assigned.assignment == ticket.assignment

    def complete(self, ticket: Ticket, outcome: OutcomeT) -> bool:
        """Enter the outcome of a ticket; False if it is dropped, because the ticket is stale or was used."""
        with self._changed:
            entry = self._close(ticket)
            if entry is None:
                return False
            assigned = self._assigned.get(ticket.partition)
            if assigned is None or assigned.assignment != ticket.assignment:
                self._give_up(entry)
                STALE_OUTCOMES.inc()
                return False
            entry.outcome = outcome
            if assigned.entries[assigned.taken] is entry:
                self._changed.notify_all()
            return True

    def drop(self, ticket: Ticket) -> None:
        """Give a stale ticket back without an outcome; a current one stays open."""
        with self._changed:
            if not self.is_current(ticket) and (entry := self._close(ticket)):
                self._give_up(entry)

    def take_ready(self, most: int) -> ReadyBatch[OutcomeT]:
        """Take outcomes for one transaction: per partition those that nothing unfinished stands before.

        Partitions take turns at being first, so that none waits for ever behind a busy one.
        Each batch must be settled with `committed` or `returned` before the next one is taken.
        """
        outcomes: list[tuple[Ticket, OutcomeT]] = []
        next_offsets: dict[Partition, int] = {}
        marks: dict[Partition, Mark] = {}
        with self._changed:
            partitions = sorted(self._assigned)
            self._turn += 1
            for place in range(len(partitions)):
                partition = partitions[(self._turn + place) % len(partitions)]
                assigned = self._assigned[partition]
                while len(outcomes) < most and assigned.taken < len(assigned.entries):
                    entry = assigned.entries[assigned.taken]
                    if entry.outcome is None:
                        break
                    outcomes.append((entry.ticket, entry.outcome))
                    next_offsets[partition] = entry.ticket.source.offset + 1
                    marks[partition] = assigned.mark.committed(next_offsets[partition])
                    assigned.taken += 1
        return ReadyBatch(tuple(outcomes), next_offsets, marks)

    def committed(self, batch: ReadyBatch[OutcomeT]) -> None:
        """Settle a batch whose transaction was committed."""
        with self._changed:
            for ticket, _ in batch.outcomes:
                assigned = self._assigned.get(ticket.partition)
                if assigned is not None and assigned.assignment == ticket.assignment:
                    entry = assigned.entries.popleft()
                    assigned.taken -= 1
                    assigned.head = batch.next_offsets[ticket.partition]
                    assigned.mark = batch.marks[ticket.partition]
                    self._release(entry)
            self._changed.notify_all()

    def returned(self, batch: ReadyBatch[OutcomeT]) -> None:
        """Settle a batch whose transaction was aborted: what is still ours is ready again."""
        with self._changed:
            for ticket, _ in batch.outcomes:
                assigned = self._assigned.get(ticket.partition)
                if assigned is not None and assigned.assignment == ticket.assignment:
                    assigned.taken -= 1
            self._changed.notify_all()

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Wait until `take_ready` would give something."""
        with self._changed:
            return self._changed.wait_for(self._is_ready, timeout_s)

    def _is_ready(self) -> bool:
        return any(
            each.taken < len(each.entries) and each.entries[each.taken].outcome is not None
            for each in self._assigned.values()
        )

    def _begin(self, partition: Partition) -> _Assigned[OutcomeT]:
        self._forget(partition)
        self._last_assignment += 1
        assigned = self._assigned[partition] = _Assigned(self._last_assignment)
        return assigned

    def _forget(self, partition: Partition) -> None:
        assigned = self._assigned.pop(partition, None)
        if assigned is None:
            return
        for entry in assigned.entries:
            # What a lane still works on keeps its bytes until the lane is done: they are in memory till then.
            if entry.outcome is not None:
                self._give_up(entry)
                STALE_OUTCOMES.inc()

    def _close(self, ticket: Ticket) -> _Entry[OutcomeT] | None:
        entry = self._open.pop(ticket, None)
        if entry is not None:
            self._at_work -= entry.is_at_work
        return entry

    def _give_up(self, entry: _Entry[OutcomeT]) -> None:
        entry.ticket.trace.end({"lossgate.outcome": "STALE"})
        self._release(entry)

    def _release(self, entry: _Entry[OutcomeT]) -> None:
        if entry.is_reserved:
            entry.is_reserved = False
            self._budget.release(entry.ticket.size)
