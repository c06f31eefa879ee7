"""Holds events back until their partition is marked, and lets suspects through one at a time.

The rules are in `attempts`; here they meet the consumer.  All of it runs on the poll thread and none of it waits:
marks are committed asynchronously, and the consumer's next polls bring the answers.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from worker.kafka.attempts import Mark
from worker.kafka.ledger import Ledger, Partition, Ticket
from worker.kafka.membership import MemberConsumer
from worker.kafka.outcomes import Outcome
from worker.records import Coordinates

log = structlog.get_logger(__name__)

_READ_TIMEOUT_S: Final = 5.0  # the consumer has just fetched the same offset for itself: it is stable and quick to read
_ANSWER_TIMEOUT_S: Final = 30.0  # librdkafka answers a commit after 7 s at most while brokers are away (measured)
_AGAIN_S: Final = 0.5
_MOST_FAILURES: Final = 20  # in a row, of one partition; then it goes on uncounted rather than not at all

EventT = TypeVar("EventT")


class Due(NamedTuple, Generic[EventT]):
    """An event whose turn has come."""

    ticket: Ticket
    event: EventT
    deaths: int  # of processes that had it to themselves; None of them finished it
    is_condemned: bool  # not to be begun again


class _Writing(NamedTuple):
    offset: int
    mark: Mark
    since: float


@dataclass(slots=True)
class _Gated(Generic[EventT]):
    """One assigned partition."""

    held: deque[tuple[Ticket, EventT]] = field(default_factory=deque)
    is_marked: bool = False
    careful_until: int = 0
    writing: _Writing | None = None
    attempted: int | None = None  # offset of the head that may begin alone, or has
    again_at: float = 0.0
    failures: int = 0


class Gate(Generic[EventT]):
    """Keeps the events that must wait.

    Args:
        consumer: of the poll thread.
        ledger: knows the heads of the partitions and what is at work.
        window: deliveries that one process has at work, at most.
        most_deaths: times a delivery may be at work alone while the process dies.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        consumer: MemberConsumer,
        ledger: Ledger[Outcome],
        *,
        window: int,
        most_deaths: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._window = window
        self._most_deaths = most_deaths
        self._clock = clock
        self._gated: dict[Partition, _Gated[EventT]] = {}
        self._alone: Ticket | None = None

    @property
    def waiting(self) -> int:
        """Events held back."""
        return sum(len(each.held) for each in self._gated.values())

    def must_wait(self, source: Coordinates) -> bool:
        """Whether an event that was just polled has to wait here."""
        gated = self._gated.get((source.topic, source.partition))
        if gated is None or not gated.is_marked or gated.held or source.offset < gated.careful_until:
            return True
        return self._is_someone_alone() or any(True for _ in self._suspects())

    def hold(self, ticket: Ticket, event: EventT) -> None:
        """Keep an event until its turn comes."""
        self._gated.setdefault(ticket.partition, _Gated()).held.append((ticket, event))

    def due(self) -> Iterator[Due[EventT]]:
        """Give the events whose turn has come, and see that the turn of the others comes."""
        for partition, gated in self._gated.items():
            if gated.held and not gated.is_marked and self._may_write(gated):
                self._take_over(partition, gated)
        if self._is_someone_alone():
            return
        suspects = list(self._suspects())
        if suspects:
            yield from self._next_suspect(suspects)
            return
        for gated in self._gated.values():
            while gated.is_marked and gated.held and _first_offset(gated) >= gated.careful_until:
                yield Due(*gated.held.popleft(), 0, is_condemned=False)

    def release(self, partitions: Iterable[Partition], *, is_failing: bool) -> None:
        """Mark partitions as given up in an orderly way.  No transaction may be in flight.

        Args:
            partitions: which.
            is_failing: the worker ends with an error, which a delivery at work alone may have caused.
        """
        for partition in partitions:
            gated = self._gated.get(partition)
            if gated is None:
                continue
            head, mark = self._ledger.standing(partition)
            if not gated.is_marked and gated.writing is not None:  # on its way to the brokers; this one follows it
                head, mark = gated.writing.offset, gated.writing.mark
            if head is None:
                continue  # nothing was begun, or a transaction's fate is unknown: a commit here might undo it
            is_begun = gated.attempted == head
            is_at_work = (
                self._alone is not None and self._alone.partition == partition and self._ledger.is_open(self._alone)
            )
            if is_begun and is_failing and is_at_work:
                continue  # counted as a death of the delivery that is at work
            self._commit(partition, head, mark.released(is_unfinished=is_begun))

    def forget(self, partitions: Iterable[Partition]) -> Iterator[Ticket]:
        """Forget partitions that are no longer ours; gives the tickets of what was held of them."""
        for partition in partitions:
            gated = self._gated.pop(partition, None)
            for ticket, _ in gated.held if gated else ():
                yield ticket

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Take the consumer's answer to a commit."""
        for each in partitions:
            partition = each.topic, each.partition
            gated = self._gated.get(partition)
            writing = gated.writing if gated else None
            if gated is None or writing is None or (each.offset, each.metadata) != _written(writing):
                continue
            problem = error or each.error
            if problem is None:
                self._written(partition, gated, writing)
            else:
                self._failed(partition, gated, writing, problem.str())

    def _take_over(self, partition: Partition, gated: _Gated[EventT]) -> None:
        head = _first_offset(gated)
        unknown = Mark(is_running=True)
        try:
            (committed,) = self._consumer.committed([TopicPartition(*partition)], timeout=_READ_TIMEOUT_S)
            if committed.error is not None:
                raise KafkaException(committed.error)  # noqa: TRY301 -- librdkafka reports both ways
        except KafkaException as error:
            self._failed(partition, gated, _Writing(head, unknown, self._clock()), error.args[0].str())
            return
        found = Mark.from_metadata(committed.metadata)
        mark = found.taken_over(committed.offset, head, self._window)
        if mark.deaths > found.deaths or (found.is_running and mark.deaths):
            where = {"topic": partition[0], "partition": partition[1], "offset": head}
            log.warning("previous_owner_died", **where, deaths=mark.deaths, attempts=mark.attempts)
            if mark.careful_until:
                log.warning("suspects_are_judged_alone", **where, until=mark.careful_until)
        self._write(partition, gated, head, mark)

    def _next_suspect(self, suspects: list[tuple[Partition, _Gated[EventT]]]) -> Iterator[Due[EventT]]:
        """Begin one suspect, when nothing else is at work and its process's death would be counted."""
        if any(gated.writing for _, gated in suspects):
            return
        # One that is counted as begun comes first, or its count would rise with the death that another one causes.
        counted = [(partition, gated) for partition, gated in suspects if gated.attempted == _first_offset(gated)]
        suspects = counted or suspects
        for partition, gated in suspects:
            ticket, event = gated.held[0]
            if not self._ledger.is_first(ticket) or not self._may_write(gated):
                continue  # those before it are still being committed
            head, mark = self._ledger.standing(partition)
            if head != ticket.source.offset:
                mark = mark.committed(ticket.source.offset)  # offsets have gaps; nothing stands in this one
            attempts = mark.attempts
            if gated.attempted == ticket.source.offset:
                if self._ledger.at_work:
                    return
                self._alone = ticket
                gated.held.popleft()
                yield Due(ticket, event, attempts - 1, is_condemned=False)
            elif attempts >= self._most_deaths:
                gated.held.popleft()
                yield Due(ticket, event, attempts, is_condemned=True)
            elif not self._ledger.at_work:
                self._write(partition, gated, ticket.source.offset, mark.attempted())
            return

    def _suspects(self) -> Iterator[tuple[Partition, _Gated[EventT]]]:
        for partition, gated in self._gated.items():
            if gated.is_marked and gated.held and _first_offset(gated) < gated.careful_until:
                yield partition, gated

    def _is_someone_alone(self) -> bool:
        """Whether a suspect is at work, or its outcome is not committed yet: till then a death counts against it."""
        alone = self._alone
        return alone is not None and (self._ledger.is_open(alone) or self._ledger.is_first(alone))

    def _may_write(self, gated: _Gated[EventT]) -> bool:
        now = self._clock()
        if gated.writing is not None and now - gated.writing.since > _ANSWER_TIMEOUT_S:
            gated.writing = None
        return gated.writing is None and now >= gated.again_at

    def _write(self, partition: Partition, gated: _Gated[EventT], offset: int, mark: Mark) -> None:
        gated.writing = _Writing(offset, mark, self._clock())
        error = self._commit(partition, offset, mark)
        if error is not None:
            self._failed(partition, gated, gated.writing, error)

    def _commit(self, partition: Partition, offset: int, mark: Mark) -> str | None:
        position = TopicPartition(*partition, offset, metadata=mark.to_metadata())
        try:
            self._consumer.commit(offsets=[position], asynchronous=True)
        except KafkaException as error:
            return str(error.args[0].str())
        return None

    def _written(self, partition: Partition, gated: _Gated[EventT], writing: _Writing) -> None:
        if gated.is_marked:
            gated.attempted = writing.offset
        gated.writing, gated.failures, gated.is_marked = None, 0, True
        gated.careful_until = writing.mark.careful_until
        self._ledger.note_mark(partition, writing.offset, writing.mark)

    def _failed(self, partition: Partition, gated: _Gated[EventT], writing: _Writing, problem: str) -> None:
        gated.writing = None
        gated.again_at = self._clock() + _AGAIN_S
        gated.failures += 1
        where = {"topic": partition[0], "partition": partition[1], "offset": writing.offset}
        if gated.failures == 1:
            log.warning("mark_not_written", **where, error=problem, retry_in_s=_AGAIN_S)
        elif gated.failures >= _MOST_FAILURES:
            log.error("deaths_not_counted", **where, error=problem)
            self._written(partition, gated, writing)


def _first_offset(gated: _Gated[EventT]) -> int:
    return gated.held[0][0].source.offset


def _written(writing: _Writing) -> tuple[int, str]:
    return writing.offset, writing.mark.to_metadata()
