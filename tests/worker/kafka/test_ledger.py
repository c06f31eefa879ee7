"""The ledger: offsets in order, each outcome once, nothing of an earlier assignment, no bytes lost."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.kafka.budget import Budget
from worker.kafka.ledger import Ledger, Partition, ReadyBatch, Ticket
from worker.records import Coordinates

TOPIC = "t"


def _ledger() -> tuple[Ledger[str], Budget]:
    budget = Budget(100, 10_000)
    return Ledger(budget), budget


def _poll(ledger: Ledger[str], partition: int, offset: int) -> Ticket:
    ticket = ledger.polled(Coordinates(TOPIC, partition, offset), 10)
    assert ticket is not None
    return ticket


def test_outcomes_wait_for_those_before_them() -> None:
    """A slow delivery holds back the quick ones after it; committing past it would lose it in a crash."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0)])
    first, second, third = (_poll(ledger, 0, offset) for offset in (5, 6, 9))
    ledger.complete(second, "b")
    assert ledger.take_ready(10).outcomes == ()
    ledger.complete(first, "a")
    batch = ledger.take_ready(10)
    assert [outcome for _, outcome in batch.outcomes] == ["a", "b"]
    assert batch.next_offsets == {(TOPIC, 0): 7}
    ledger.committed(batch)
    ledger.complete(third, "c")
    assert ledger.take_ready(10).next_offsets == {(TOPIC, 0): 10}


def test_partitions_do_not_wait_for_each_other() -> None:
    """A slow delivery holds back its own partition only."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0), (TOPIC, 1)])
    _poll(ledger, 0, 0)
    ledger.complete(_poll(ledger, 1, 0), "a")
    assert ledger.take_ready(10).next_offsets == {(TOPIC, 1): 1}


def test_busy_partitions_do_not_starve_others() -> None:
    """With more ready than one transaction takes, each partition gets its turn."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0), (TOPIC, 1)])
    for offset in range(10):
        ledger.complete(_poll(ledger, 0, offset), "busy")
    ledger.complete(_poll(ledger, 1, 0), "quiet")
    seen = []
    for _ in range(2):
        batch = ledger.take_ready(2)
        seen += [outcome for _, outcome in batch.outcomes]
        ledger.committed(batch)
    assert "quiet" in seen


def test_age_of_the_oldest_is_that_of_what_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stuck delivery shows as an age that grows; judged is not enough, only a commit ends it."""
    ledger, _ = _ledger()
    assert ledger.oldest_unsettled_s == 0
    ledger.assign([(TOPIC, 0), (TOPIC, 1)])
    first = _poll(ledger, 0, 0)
    _poll(ledger, 1, 0)
    ledger.complete(first, "a")
    monkeypatch.setattr("worker.kafka.ledger.time", SimpleNamespace(monotonic=lambda: first.polled_at + 100))
    assert ledger.oldest_unsettled_s == 100
    ledger.committed(ledger.take_ready(10))
    assert 0 < ledger.oldest_unsettled_s <= 100
    ledger.revoke([(TOPIC, 1)])
    assert ledger.oldest_unsettled_s == 0


def test_outcomes_of_an_earlier_assignment_are_dropped() -> None:
    """A partition that went and came back starts at its committed offset; old results must not mix in."""
    ledger, budget = _ledger()
    ledger.assign([(TOPIC, 0)])
    old = _poll(ledger, 0, 5)
    ledger.revoke([(TOPIC, 0)])
    ledger.assign([(TOPIC, 0)])
    new = _poll(ledger, 0, 5)
    assert not ledger.is_current(old)
    assert not ledger.complete(old, "old")
    assert ledger.take_ready(10).outcomes == ()
    assert ledger.complete(new, "new")
    batch = ledger.take_ready(10)
    assert [outcome for _, outcome in batch.outcomes] == ["new"]
    ledger.committed(batch)
    assert budget.count == 0


def test_stale_work_keeps_its_bytes_until_it_ends() -> None:
    """Rebalance after rebalance must not pile up decoded audio: a lane's bytes count until the lane is done."""
    ledger, budget = _ledger()
    ledger.assign([(TOPIC, 0)])
    working, done, dropped = (_poll(ledger, 0, offset) for offset in range(3))
    ledger.complete(done, "done")
    ledger.revoke([(TOPIC, 0)])
    assert budget.count == 2
    ledger.complete(working, "late")
    ledger.drop(dropped)
    assert budget.count == 0


def test_a_batch_in_flight_while_its_partition_goes() -> None:
    """A transaction that ends after its partition was lost changes nothing for the next owner, even if that is us."""
    for settle in (Ledger.committed, Ledger.returned):
        ledger, budget = _ledger()
        ledger.assign([(TOPIC, 0)])
        ledger.complete(_poll(ledger, 0, 5), "old")
        batch = ledger.take_ready(10)
        ledger.revoke([(TOPIC, 0)])
        ledger.assign([(TOPIC, 0)])
        ticket = _poll(ledger, 0, 5)
        settle(ledger, batch)
        assert ledger.complete(ticket, "new")
        assert [outcome for _, outcome in ledger.take_ready(10).outcomes] == ["new"]
        assert budget.count == 1


def test_returned_outcomes_are_ready_again_in_order() -> None:
    """An aborted transaction is tried again whole."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0)])
    for offset in range(3):
        ledger.complete(_poll(ledger, 0, offset), str(offset))
    batch = ledger.take_ready(2)
    ledger.returned(batch)
    assert [outcome for _, outcome in ledger.take_ready(10).outcomes] == ["0", "1", "2"]


def test_an_outcome_counts_once() -> None:
    """Completing a ticket again changes nothing."""
    ledger, budget = _ledger()
    ledger.assign([(TOPIC, 0)])
    ticket = _poll(ledger, 0, 0)
    assert ledger.complete(ticket, "a")
    assert not ledger.complete(ticket, "b")
    batch = ledger.take_ready(10)
    ledger.committed(batch)
    assert not ledger.complete(ticket, "c")
    assert budget.count == 0
    assert ledger.unsettled == 0


def test_events_of_partitions_not_held_get_no_ticket() -> None:
    """An event that slips through after its partition was revoked is not judged."""
    ledger, budget = _ledger()
    assert ledger.polled(Coordinates(TOPIC, 0, 0), 10) is None
    assert budget.count == 0


def test_an_offset_going_back_begins_anew() -> None:
    """A broker that lost its log's end serves other events under old offsets; those are judged, the old ones not."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0)])
    old = _poll(ledger, 0, 7)
    new = _poll(ledger, 0, 3)
    assert not ledger.complete(old, "old")
    assert ledger.complete(new, "new")


def test_waiting_ends_with_the_first_ready_outcome() -> None:
    """The publisher sleeps until there is something to publish, and no longer."""
    ledger, _ = _ledger()
    ledger.assign([(TOPIC, 0)])
    ticket = _poll(ledger, 0, 0)
    assert not ledger.wait_until_ready(0.01)
    timer = threading.Timer(0.02, ledger.complete, (ticket, "a"))
    timer.start()
    assert ledger.wait_until_ready(10)
    timer.join()


class LedgerMachine(RuleBasedStateMachine):
    """Random rebalances, completions, commits and aborts against a model of what the topic holds."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(10**6, 10**9)
        self.ledger: Ledger[int] = Ledger(self.budget)
        self.committed = dict.fromkeys(range(3), 0)  # next offset to judge, as the broker knows it
        self.position: dict[int, int] = {}  # next offset to poll, of held partitions
        self.working: list[Ticket] = []
        self.batch: ReadyBatch[int] | None = None
        self.published: list[tuple[Partition, int]] = []
        self.holds: dict[int, int] = {}  # partition: how often it was assigned
        self.holdings = 0
        self.hold_of: dict[int, int] = {}  # id of ticket: the holding it was polled in

    @rule(partition=st.integers(0, 2))
    def assign(self, partition: int) -> None:
        """A partition comes."""
        if partition not in self.position:
            self.holdings += 1
            self.holds[partition] = self.holdings
            self.ledger.assign([(TOPIC, partition)])
            self.position[partition] = self.committed[partition]

    @rule(partition=st.integers(0, 2))
    def revoke(self, partition: int) -> None:
        """A partition goes; the transaction in flight was waited for."""
        if partition in self.position and self.batch is None:
            self.ledger.revoke([(TOPIC, partition)])
            del self.position[partition], self.holds[partition]

    @rule(partition=st.integers(0, 2), gap=st.integers(0, 3), size=st.integers(0, 9))
    def poll(self, partition: int, gap: int, size: int) -> None:
        """An event comes; offsets have gaps."""
        if partition in self.position:
            offset = self.position[partition] + gap
            ticket = self.ledger.polled(Coordinates(TOPIC, partition, offset), size)
            assert ticket is not None
            self.position[partition] = offset + 1
            self.working.append(ticket)
            self.ledger.started(ticket)
            self.hold_of[id(ticket)] = self.holds[partition]

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def complete(self, data: Any) -> None:
        """A lane is done with any one of its deliveries."""
        ticket = self.working.pop(data.draw(st.integers(0, len(self.working) - 1)))
        is_held = self.holds.get(ticket.source.partition) == self.hold_of[id(ticket)]
        assert self.ledger.is_current(ticket) == is_held
        assert self.ledger.complete(ticket, ticket.source.offset) == is_held
        assert not self.ledger.complete(ticket, ticket.source.offset)

    @precondition(lambda self: self.batch is None)
    @rule(most=st.integers(1, 5))
    def take(self, most: int) -> None:
        """A transaction begins."""
        batch = self.ledger.take_ready(most)
        assert len(batch.outcomes) <= most
        self.batch = batch if batch.outcomes else None

    @precondition(lambda self: self.batch is not None)
    @rule()
    def commit(self) -> None:
        """It is committed: in order, each once, offsets right behind the last outcome."""
        assert self.batch is not None
        for ticket, outcome in self.batch.outcomes:
            assert outcome == ticket.source.offset
            assert outcome >= self.committed[ticket.source.partition]
            self.committed[ticket.source.partition] = outcome + 1
            self.published.append((ticket.partition, outcome))
        for (_, partition), offset in self.batch.next_offsets.items():
            assert self.committed[partition] == offset
        self.ledger.committed(self.batch)
        for key, offset in self.batch.next_offsets.items():
            assert self.ledger.standing(key) == (offset, self.batch.marks[key])
        self.batch = None

    @precondition(lambda self: self.batch is not None)
    @rule()
    def abort(self) -> None:
        """It is aborted."""
        assert self.batch is not None
        self.ledger.returned(self.batch)
        self.batch = None

    @invariant()
    def nothing_is_published_twice(self) -> None:
        """Each offset of each partition is published once at most."""
        assert len(self.published) == len(set(self.published))

    @invariant()
    def budget_is_conserved(self) -> None:
        """What is reserved is what is unsettled here or still worked on for an earlier assignment."""
        stale = [each for each in self.working if self.holds.get(each.source.partition) != self.hold_of[id(each)]]
        assert self.budget.count == self.ledger.unsettled + len(stale)

    @invariant()
    def work_is_counted(self) -> None:
        """What lanes have is known exactly, for it decides whether a suspect is alone."""
        assert self.ledger.at_work == len(self.working)
        assert all(self.ledger.is_open(each) for each in self.working)

    @invariant()
    def no_offset_is_known_while_a_transaction_decides(self) -> None:
        """An offset written beside a transaction could undo it."""
        for key in self.batch.next_offsets if self.batch else ():
            assert self.ledger.standing(key)[0] is None

    def teardown(self) -> None:
        """In the end, with all work done and committed, nothing is left in flight."""
        if self.batch is not None:
            self.ledger.returned(self.batch)
        for ticket in self.working:
            self.ledger.complete(ticket, ticket.source.offset)
        self.ledger.committed(self.ledger.take_ready(10**6))
        assert (self.budget.count, self.budget.bytes, self.ledger.unsettled) == (0, 0, 0)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
