"""The gate: nothing begins uncounted, suspects begin one at a time, and only the one at work pays for a death."""

import dataclasses
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.worker.kafka.records_for_tests import VERDICT
from worker.kafka.attempts import Mark
from worker.kafka.budget import Budget
from worker.kafka.gate import Due, Gate
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome
from worker.records import Coordinates

TOPIC = "t"
CAREFUL = Mark(is_running=True, deaths=1, suspects_end=100)  # one more death and they are


class _Broker:
    """Keeps offsets with metadata, and answers commits when told."""

    def __init__(self) -> None:
        self.offsets: dict[int, tuple[int, str]] = {}
        self.unanswered: list[TopicPartition] = []
        self.is_away = False

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        if self.is_away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "away"))
        return [
            TopicPartition(TOPIC, each.partition, *self.offsets.get(each.partition, (-1001, ""))) for each in partitions
        ]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.unanswered += offsets

    def mark(self, partition: int = 0) -> Mark:
        return Mark.from_metadata(self.offsets[partition][1])


class _Worker:
    """A gate in its surroundings, for one life of a process."""

    def __init__(self, broker: _Broker, *partitions: int, most_deaths: int = 2) -> None:
        self.broker = broker
        self.now = 0.0
        self.ledger: Ledger[Outcome] = Ledger(Budget(1_000, 10**9))
        self.ledger.assign([(TOPIC, each) for each in partitions or (0,)])
        member: Any = broker
        self.gate: Gate[str] = Gate(member, self.ledger, window=100, most_deaths=most_deaths, clock=lambda: self.now)
        self.begun: list[Ticket] = []

    def poll(self, offset: int, partition: int = 0) -> Ticket:
        source = Coordinates(TOPIC, partition, offset)
        must_wait = self.gate.must_wait(source)
        ticket = self.ledger.polled(source, 1)
        assert ticket is not None
        if must_wait:
            self.gate.hold(ticket, "event")
        else:
            self._begin(ticket)
        return ticket

    def step(self) -> list[Due[str]]:
        """One round of the poll loop: commits are answered, what is due begins."""
        self.answer()
        due = list(self.gate.due())
        for each in due:
            if not each.is_condemned:
                self._begin(each.ticket)
        return due

    def answer(self, error: KafkaError | None = None) -> None:
        answered, self.broker.unanswered = self.broker.unanswered, []
        for each in answered:
            if error is None:
                self.broker.offsets[each.partition] = each.offset, each.metadata
            self.gate.on_commit(error, [each])

    def finish(self, ticket: Ticket) -> None:
        assert self.ledger.complete(ticket, VERDICT)

    def publish(self) -> None:
        batch = self.ledger.take_ready(100)
        for (_, number), offset in batch.next_offsets.items():
            self.broker.offsets[number] = offset, batch.marks[TOPIC, number].to_metadata()
        self.ledger.committed(batch)

    def release(self, *, is_failing: bool = False) -> None:
        self.gate.release(sorted(self.ledger.partitions), is_failing=is_failing)
        self.answer()

    def _begin(self, ticket: Ticket) -> None:
        self.begun.append(ticket)
        self.ledger.started(ticket)


def _steps(worker: _Worker, count: int = 5) -> None:
    for _ in range(count):
        worker.step()


def test_nothing_begins_before_it_would_be_counted() -> None:
    """The first event of an assignment waits until the mark of this owner stands with the brokers; later ones don't."""
    worker = _Worker(_Broker())
    first, second = worker.poll(5), worker.poll(6)
    list(worker.gate.due())
    assert worker.begun == []
    worker.step()
    assert worker.begun == [first, second]
    assert worker.broker.offsets[0] == (5, Mark(is_running=True).to_metadata())
    third = worker.poll(7)
    assert worker.begun == [first, second, third]


def test_an_orderly_end_is_no_death() -> None:
    """Who goes in good order says so, behind the last delivery that is committed."""
    broker = _Broker()
    worker = _Worker(broker)
    ticket = worker.poll(5)
    _steps(worker)
    worker.finish(ticket)
    worker.publish()
    worker.poll(6)
    worker.release()
    assert broker.offsets[0] == (6, Mark().to_metadata())


def test_a_release_overtakes_no_transaction() -> None:
    """While a transaction's fate is unknown nothing is written: an older offset could undo what it commits."""
    broker = _Broker()
    worker = _Worker(broker)
    ticket = worker.poll(5)
    _steps(worker)
    worker.finish(ticket)
    worker.ledger.take_ready(100)
    worker.release()
    assert broker.mark() == Mark(is_running=True)


def test_suspects_are_judged_alone_in_the_whole_process() -> None:
    """After the second death one delivery is at work at a time, whatever its partition, until it is committed."""
    broker = _Broker()
    for number in (0, 1):
        broker.offsets[number] = 5, CAREFUL.to_metadata()
    worker = _Worker(broker, 0, 1, 2)
    for number in (0, 1, 2):
        for offset in (5, 6):
            worker.poll(offset, number)
    seen = []
    for _ in range(60):
        worker.step()
        if worker.ledger.at_work == 1 and worker.begun[-1].partition != (TOPIC, 2):
            alone = worker.begun[-1]
            seen.append((alone.source.partition, alone.source.offset))
            worker.poll(100 + len(seen), 2)
            _steps(worker)
            assert worker.begun[-1] is alone
            others = [number for number in (0, 1) if number != alone.source.partition]
            assert all(broker.mark(number).attempts == 0 for number in others)
            assert broker.mark(alone.source.partition).attempts == 1
            worker.finish(alone)
            _steps(worker)
            assert worker.begun[-1] is alone  # its outcome is not committed yet
            worker.publish()
        elif worker.ledger.at_work:
            break
    assert sorted(seen) == [(0, 5), (0, 6), (1, 5), (1, 6)]
    assert {ticket.partition for ticket in worker.begun[4:]} == {(TOPIC, 2)}  # waited till the suspects were through


def test_a_suspect_waits_for_what_is_at_work() -> None:
    """A delivery begun before is finished first, or its fault would be the suspect's."""
    broker = _Broker()
    worker = _Worker(broker, 0, 1)
    other = worker.poll(0, 1)
    _steps(worker)
    broker.offsets[0] = 5, CAREFUL.to_metadata()
    worker.poll(5)
    _steps(worker)
    assert worker.begun == [other]
    worker.finish(other)
    _steps(worker)
    assert [each.source.partition for each in worker.begun] == [1, 0]


def test_the_delivery_that_ends_each_process_is_condemned() -> None:
    """After so many deaths alone it is not begun again, and those behind it go on."""
    broker = _Broker()
    lives = 0
    while True:
        worker = _Worker(broker)
        culprit = worker.poll(5)
        due = [each for _ in range(5) for each in worker.step()]
        lives += 1
        if any(each.is_condemned for each in due):
            break
        assert worker.begun == [culprit]
    assert lives == 1 + 2 + 2  # the first finds nothing; two deaths make it a suspect, two more alone condemn it
    assert due == [Due(culprit, "event", 2, is_condemned=True)]
    worker.finish(culprit)
    worker.publish()
    neighbour = worker.poll(6)
    _steps(worker)
    assert worker.begun == [neighbour]
    assert broker.mark().attempts == 1


@pytest.mark.parametrize(("is_failing", "attempts"), [(False, 0), (True, 1)])
def test_a_suspect_given_back_unfinished_is_not_to_blame(is_failing: bool, attempts: int) -> None:  # noqa: FBT001 -- a test's parameter
    """A stop or a rebalance takes the count back; an error of the worker meanwhile may be the suspect's."""
    broker = _Broker()
    broker.offsets[0] = 5, CAREFUL.to_metadata()
    worker = _Worker(broker)
    worker.poll(5)
    _steps(worker)
    assert len(worker.begun) == 1
    worker.release(is_failing=is_failing)
    assert broker.mark() == Mark(is_running=is_failing, deaths=2, suspects_end=105, attempts=attempts)


def test_an_outcome_that_can_not_be_published_is_nobodys_death() -> None:
    """The delivery was judged; that its transaction fails, again and again, must not condemn it."""
    broker = _Broker()
    broker.offsets[0] = 5, CAREFUL.to_metadata()
    worker = _Worker(broker)
    ticket = worker.poll(5)
    _steps(worker)
    worker.finish(ticket)
    worker.release(is_failing=True)
    assert broker.mark().attempts == 0


def test_counting_gives_way_to_going_on() -> None:
    """Brokers that take no marks delay a partition; after some tries it goes on uncounted."""
    broker = _Broker()
    broker.is_away = True
    worker = _Worker(broker)
    worker.poll(5)
    for _ in range(100):
        worker.step()
        worker.now += 1
    assert len(worker.begun) == 1

    broker = _Broker()
    worker = _Worker(broker)
    worker.poll(5)
    for _ in range(10):
        list(worker.gate.due())
        worker.answer(KafkaError(KafkaError.REBALANCE_IN_PROGRESS, "rebalancing"))
        assert worker.begun == []
        worker.now += 1
    _steps(worker)
    assert len(worker.begun) == 1
    assert broker.mark() == Mark(is_running=True)


def test_what_is_held_goes_with_its_partition() -> None:
    """A partition that is given up takes its held events along, and comes back like a new one."""
    worker = _Worker(_Broker())
    ticket = worker.poll(5)
    worker.ledger.revoke([(TOPIC, 0)])
    assert list(worker.gate.forget([(TOPIC, 0)])) == [ticket]
    assert worker.gate.waiting == 0
    worker.ledger.assign([(TOPIC, 0)])
    assert worker.gate.must_wait(dataclasses.replace(ticket.source, offset=6))
