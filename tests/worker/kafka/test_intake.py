"""The poll loop against a consumer that plays what the test says."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from tests.worker.kafka.records_for_tests import DELIVERY
from worker.exceptions import BrakeError, FatalError, TransientError
from worker.kafka import intake as intake_module
from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.intake import Intake
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome
from worker.kafka.retry_headers import RetryStamp
from worker.kafka.wire import Wire
from worker.metrics import OLDEST_UNSETTLED_SECONDS, WAITING_FOR_REGISTRY
from worker.records import Coordinates, DeadLetter, DeadLetterReason, Delivery
from worker.settings import Settings

SETTINGS = Settings(_env_file=None, windows_per_track=1)
TOPIC = SETTINGS.deliveries_topic
RETRIES = SETTINGS.retries_topic
WIRE = Wire(SETTINGS)
EVENT = WIRE.encode_delivery(DELIVERY)


class _Message:
    """What `poll` returns."""

    def __init__(
        self,
        offset: int = 0,
        value: bytes | None = EVENT,
        partition: int = 0,
        headers: Any = None,
        timestamp: int = 1_790_000_000_000,
        error: KafkaError | None = None,
        topic: str = TOPIC,
    ) -> None:
        self._topic = topic
        self._values = (offset, value, partition, headers, timestamp, error)

    def topic(self) -> str:
        return self._topic

    def offset(self) -> int:
        return self._values[0]

    def value(self) -> bytes | None:
        return self._values[1]

    def partition(self) -> int:
        return self._values[2]

    def headers(self) -> Any:
        if isinstance(self._values[3], Exception):
            raise self._values[3]
        return self._values[3]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._values[4]

    def error(self) -> KafkaError | None:
        return self._values[5]

    def key(self) -> bytes:
        return b"key"


Step = _Message | Callable[[], None]


class _Consumer:
    """Plays steps: messages to return, and rebalances to call back; stops the intake after the last."""

    def __init__(self) -> None:
        self.steps: deque[Step] = deque()
        self.held: list[TopicPartition] = []
        self.paused: set[int] = set()
        self.offsets: dict[int, tuple[int, str]] = {}  # committed, with their metadata
        self.on_commit: Any = None
        self.callbacks: dict[str, Any] = {}
        self.on_end: Callable[[], None] = lambda: None

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        assert topics == [TOPIC, RETRIES]
        self.callbacks = callbacks

    def assignment(self) -> list[TopicPartition]:
        return list(self.held)

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {each.partition for each in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {each.partition for each in partitions}

    def note_membership(self) -> None:
        pass

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [
            TopicPartition(TOPIC, each.partition, *self.offsets.get(each.partition, (-1001, ""))) for each in partitions
        ]

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        for each in offsets:
            self.offsets[each.partition] = each.offset, each.metadata
        self.on_commit(None, offsets)

    def poll(self, _timeout: float) -> _Message | None:
        if not self.steps:
            self.on_end()
            return None
        step = self.steps.popleft()
        if isinstance(step, _Message):
            return step
        step()
        return None

    def assign(self, *numbers: int, topic: str = TOPIC) -> None:
        partitions = [TopicPartition(topic, number) for number in numbers]
        self.callbacks["on_assign"](self, partitions)
        self.held += partitions

    def take(self, kind: str, *numbers: int, topic: str = TOPIC) -> None:
        partitions = [TopicPartition(topic, number) for number in numbers]
        self.callbacks[kind](self, partitions)
        self.held = [each for each in self.held if each.partition not in numbers]


class _Bench:
    """An intake with its surroundings."""

    def __init__(self, wire: Wire = WIRE, max_count: int = 100) -> None:
        self.consumer = _Consumer()
        self.budget = Budget(max_count, 10**9)
        self.brake = Brake(0, 1)
        self.ledger: Ledger[Outcome] = Ledger(self.budget)
        self.dispatched: list[tuple[Ticket, Delivery]] = []
        self.quiesced = 0
        self.intake = Intake(
            self.consumer,
            SETTINGS,
            ledger=self.ledger,
            budget=self.budget,
            brake=self.brake,
            wire=wire,
            dispatch=lambda ticket, _, delivery: self.dispatched.append((ticket, delivery)),
            quiesce=self._quiesce,
        )
        self.consumer.on_end = self.intake.stop

    def run(self, *steps: Step) -> None:
        self.consumer.steps = deque([lambda: self.consumer.assign(0, 1), *steps])
        self.intake.run(drain_deadline_s=0)

    def letters(self) -> list[DeadLetter]:
        return [each for _, each in self.ledger.take_ready(100).outcomes if isinstance(each, DeadLetter)]

    @contextmanager
    def _quiesce(self, _timeout_s: float) -> Iterator[bool]:
        self.quiesced += 1
        yield True


def test_deliveries_are_dispatched_with_their_tickets() -> None:
    """A good event reaches the lanes with coordinates, time and the replay it belongs to."""
    bench = _Bench()
    bench.run(_Message(5, headers=[("lossgate-replay", b"old"), ("lossgate-replay", b"r-1")]))
    ((ticket, delivery),) = bench.dispatched
    assert delivery == DELIVERY
    assert (ticket.source.offset, ticket.replay_id) == (5, "r-1")
    assert ticket.source.timestamp is not None
    assert ticket.size > len(EVENT) + 131_072 * 2 * 4


def test_age_of_the_oldest_is_shown_while_it_waits() -> None:
    """A delivery that nobody finishes shows in the metrics each time the loop comes round."""
    bench = _Bench()
    bench.run(_Message(5), lambda: None)
    assert OLDEST_UNSETTLED_SECONDS._value.get() > 0


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (_Message(value=None), DeadLetterReason.NOT_WIRE_FORMAT),
        (_Message(value=b"{}"), DeadLetterReason.NOT_WIRE_FORMAT),
        (_Message(value=EVENT + b"x"), DeadLetterReason.TRAILING_BYTES),
        (_Message(value=EVENT + b"x" * 300_000), DeadLetterReason.EVENT_TOO_LARGE),
        (_Message(value=b"", headers=[("h", b"x" * 300_000)]), DeadLetterReason.EVENT_TOO_LARGE),
    ],
)
def test_unreadable_events_become_dead_letters(message: _Message, reason: DeadLetterReason) -> None:
    """They skip the lanes, whole, and wait their turn in the ledger like any outcome."""
    bench = _Bench()
    bench.run(message)
    (letter,) = bench.letters()
    assert letter.reason == reason
    assert (letter.value, letter.key) == (message.value(), b"key")
    assert bench.dispatched == []


def test_strange_timestamps_and_header_names_do_no_harm() -> None:
    """Senders choose timestamps and header names; neither may end the poll loop."""
    bench = _Bench()
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    bench.run(_Message(0, timestamp=2**62), _Message(1, timestamp=-1), _Message(2, headers=broken))
    assert [ticket.source.timestamp is None for ticket, _ in bench.dispatched] == [True, True, False]


class _Faulty(Wire):
    """A wire with a fault, or whose registry is away."""

    faults: deque[Exception | None]

    def decode_delivery(self, value: bytes | None) -> Delivery:
        if self.faults and (fault := self.faults.popleft()):
            raise fault
        return super().decode_delivery(value)


def _faulty(*faults: Exception | None) -> _Faulty:
    wire = _Faulty(SETTINGS)
    wire.faults = deque(faults)
    return wire


def test_faults_of_ours_end_in_a_dead_letter_too() -> None:
    """An event that trips a fault in the reader must not end one worker after another."""
    bench = _Bench(_faulty(ZeroDivisionError("a fault of ours")))
    bench.run(_Message(0), _Message(1))
    (letter,) = bench.letters()
    assert letter.reason == DeadLetterReason.INTERNAL_ERROR
    assert len(bench.dispatched) == 1


def test_events_wait_for_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the registry is away its events wait in order, their partition pauses, and the other goes on."""
    monkeypatch.setattr(intake_module, "_REGISTRY_BACKOFF_S", (0.0, 0.0))
    away = TransientError("away")
    bench = _Bench(_faulty(away, away, away, None))
    paused: list[set[int]] = []
    bench.run(
        _Message(0),
        lambda: paused.append(set(bench.consumer.paused)),
        _Message(1),
        _Message(0, partition=1),
        lambda: None,
        lambda: paused.append(set(bench.consumer.paused)),
    )
    assert paused == [{0}, set()]
    assert sorted((ticket.source.partition, ticket.source.offset) for ticket, _ in bench.dispatched) == [
        (0, 0),
        (0, 1),
        (1, 0),
    ]


class _Lagging(Wire):
    """A wire whose registry is away, then back, but does not know one of the schemas."""

    is_away = True

    def decode_delivery(self, value: bytes | None) -> Delivery:
        if self.is_away or value != EVENT:
            raise TransientError("not known yet")
        return super().decode_delivery(value)


def test_one_unknown_schema_does_not_hold_up_the_other_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two partitions wait; what can be read goes on although the one that came first still can't be."""
    monkeypatch.setattr(intake_module, "_REGISTRY_BACKOFF_S", (0.0, 0.0))
    wire = _Lagging(SETTINGS)
    bench = _Bench(wire)
    waiting: list[float] = []

    def look() -> None:
        waiting.append(WAITING_FOR_REGISTRY._value.get())
        wire.is_away = False

    bench.run(_Message(0, b"late"), _Message(0, partition=1), lambda: None, look, *[lambda: None] * 3)
    assert [ticket.source.partition for ticket, _ in bench.dispatched] == [1]
    assert (waiting, WAITING_FOR_REGISTRY._value.get()) == ([2], 1)


def test_waiting_events_go_with_their_partition() -> None:
    """An event that waits for the registry is the next owner's once its partition is revoked."""
    bench = _Bench(_faulty(*[TransientError("away")] * 50))
    bench.run(_Message(0), lambda: bench.consumer.take("on_revoke", 0))
    assert (bench.budget.count, bench.dispatched) == (0, [])


def test_the_budget_pauses_and_resumes_all_partitions() -> None:
    """Over budget all partitions pause, those that come later too; with room again all resume."""
    bench = _Bench(max_count=2)
    seen: list[set[int]] = []

    def finish() -> None:
        for ticket, _ in bench.dispatched:
            bench.ledger.complete(ticket, DEAD_LETTER_OUTCOME)
        bench.ledger.committed(bench.ledger.take_ready(10))

    bench.run(
        _Message(0),
        _Message(1),
        lambda: seen.append(set(bench.consumer.paused)),
        lambda: bench.consumer.assign(2),
        lambda: seen.append(set(bench.consumer.paused)),
        finish,
        lambda: seen.append(set(bench.consumer.paused)),
    )
    assert seen == [{0, 1}, {0, 1, 2}, set()]


DEAD_LETTER_OUTCOME: Any = object()


def test_revoked_partitions_are_quiesced_and_lost_ones_are_not() -> None:
    """Before a partition is given up its transaction ends; a lost one is gone already."""
    bench = _Bench()
    bench.run(lambda: bench.consumer.take("on_revoke", 0), lambda: bench.consumer.take("on_lost", 1))
    assert bench.quiesced == 1
    assert bench.ledger.partitions == frozenset()


def test_passing_errors_are_passed_over_and_fatal_ones_are_not() -> None:
    """A missing topic or an absent broker is waited for; a fatal error ends the worker."""
    bench = _Bench()
    bench.run(_Message(error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "no topic")), _Message(0))
    assert len(bench.dispatched) == 1
    with pytest.raises(FatalError):
        _Bench().run(_Message(error=KafkaError(KafkaError._FATAL, "fatal", fatal=True)))


def test_failures_of_others_end_the_loop() -> None:
    """A lane or the publisher that fails ends the intake with its error."""
    bench = _Bench()
    with pytest.raises(ZeroDivisionError):
        bench.run(lambda: bench.intake.fail(ZeroDivisionError()), _Message(0))


def test_draining_takes_nothing_new_and_says_whether_all_was_done() -> None:
    """After `stop` the partitions are paused, polling goes on, and what is in flight is waited for."""
    bench = _Bench()
    bench.consumer.steps = deque([lambda: bench.consumer.assign(0), _Message(0)])
    assert not bench.intake.run(drain_deadline_s=0.05)
    assert bench.consumer.paused == {0}

    bench = _Bench()
    bench.consumer.steps = deque([lambda: bench.consumer.assign(0), _Message(0, value=b"")])
    ready = bench.ledger.committed
    bench.consumer.on_end = lambda: (bench.intake.stop(), ready(bench.ledger.take_ready(10)))  # type: ignore[func-returns-value]
    assert bench.intake.run(drain_deadline_s=10)


def _retry(due_in_s: float, offset: int = 0, partition: int = 2, **more: Any) -> _Message:
    stamp = RetryStamp(1, round((time.time() + due_in_s) * 1000), Coordinates(TOPIC, 1, 77))
    return _Message(offset, partition=partition, headers=[("trace", b"1"), *stamp.headers()], topic=RETRIES, **more)


def test_retries_wait_until_they_are_due() -> None:
    """A retry that is not due pauses its partition, is not in flight, and holds up nobody else."""
    bench = _Bench()
    seen: list[object] = []
    bench.run(
        lambda: bench.consumer.assign(2, topic=RETRIES),
        _retry(0.3, offset=4),
        _Message(0),
        lambda: seen.extend([set(bench.consumer.paused), bench.budget.count, len(bench.dispatched)]),
        lambda: time.sleep(0.3),
        lambda: None,
    )
    assert seen == [{2}, 1, 1]
    assert [ticket.source.topic for ticket, _ in bench.dispatched] == [TOPIC, RETRIES]
    assert bench.consumer.paused == set()


def test_a_drain_does_not_wait_for_retries() -> None:
    """What is not due stays uncommitted in its topic, and the drain ends without it."""
    bench = _Bench()
    bench.consumer.steps = deque([lambda: bench.consumer.assign(2, topic=RETRIES), _retry(60)])
    started = time.monotonic()
    assert bench.intake.run(drain_deadline_s=10)
    assert time.monotonic() - started < 5
    assert bench.dispatched == []


def test_unreadable_retries_keep_their_place() -> None:
    """Garbage behind a retry that waits is refused after it, in the order of the offsets, with its own coordinates."""
    bench = _Bench()
    forged = _Message(5, partition=2, headers=[("lossgate-retry-attempt", b"1")], topic=RETRIES)
    bench.run(
        lambda: bench.consumer.assign(2, topic=RETRIES),
        _retry(0.2, offset=4, value=b"not avro"),
        forged,
        lambda: time.sleep(0.2),
        lambda: None,
    )
    first, second = bench.letters()
    assert (first.source, first.headers) == (Coordinates(TOPIC, 1, 77), (("trace", b"1"),))
    assert (second.source.topic, second.source.offset) == (RETRIES, 5)
    assert (second.reason, second.headers) == (DeadLetterReason.INVALID_VALUE, (("lossgate-retry-attempt", b"1"),))


def test_waiting_retries_go_with_their_partition() -> None:
    """A retry that waits is the next owner's once its partition is revoked, and is not dispatched here."""
    bench = _Bench()
    bench.run(
        lambda: bench.consumer.assign(2, topic=RETRIES),
        _retry(0.1),
        lambda: bench.consumer.take("on_revoke", 2, topic=RETRIES),
        lambda: time.sleep(0.1),
        lambda: None,
    )
    assert (bench.dispatched, bench.letters()) == ([], [])


def test_retries_wait_for_the_budget_too() -> None:
    """A retry whose time has come while the budget is spent is taken when there is room again."""
    bench = _Bench(max_count=1)
    seen: list[int] = []

    def finish() -> None:
        seen.append(len(bench.dispatched))
        bench.ledger.complete(bench.dispatched[0][0], DEAD_LETTER_OUTCOME)
        bench.ledger.committed(bench.ledger.take_ready(10))

    bench.run(
        lambda: bench.consumer.assign(2, topic=RETRIES),
        _retry(0.1),
        _Message(0),
        lambda: time.sleep(0.1),
        finish,
        lambda: None,
    )
    assert seen == [1]
    assert len(bench.dispatched) == 2


def test_the_brake_pauses_and_ends_with_an_error() -> None:
    """While it is engaged the loop polls on and keeps its partitions, paused; a stop says that it was not in order."""
    bench = _Bench()
    seen: list[set[int]] = []
    with pytest.raises(BrakeError):
        bench.run(
            _Message(0),
            lambda: bench.brake.admits([True]) and None,  # type: ignore[arg-type,return-value]
            lambda: None,
            lambda: seen.append(set(bench.consumer.paused)),
        )
    assert seen == [{0, 1}]
    assert bench.ledger.partitions == {(TOPIC, 0), (TOPIC, 1)}
