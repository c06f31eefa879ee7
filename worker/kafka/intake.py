"""The poll loop: takes delivery events from Kafka and hands them to the lanes.  Does nothing else and never waits."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from worker.constants import MAX_EVENT_BYTES, POLL_TIMEOUT_S
from worker.exceptions import BadEventError, BrakeError, FatalError, TransientError
from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.event import Event, event_of
from worker.kafka.gate import Gate
from worker.kafka.lag_gauge import LagGauge
from worker.kafka.ledger import Ledger, Partition, Ticket
from worker.kafka.membership import MemberConsumer
from worker.kafka.not_due import NotDue
from worker.kafka.outcomes import Outcome
from worker.kafka.retry_plan import RetryPlan
from worker.kafka.wire import Wire
from worker.metrics import (
    ASSIGNED_PARTITIONS,
    EVENTS_POLLED,
    IN_FLIGHT_BYTES,
    IN_FLIGHT_DELIVERIES,
    LAST_POLL_TIMESTAMP,
    LONGEST_POLL_GAP_SECONDS,
    NOT_DUE_PARTITIONS,
    OLDEST_UNSETTLED_SECONDS,
    PAUSED,
    REGISTRY_FAILURES,
    WAITING_FOR_REGISTRY,
)
from worker.poll_gap import PollGap
from worker.records import Coordinates, DeadLetterReason, Delivery
from worker.settings import Settings
from worker.tracing import DeliveryTrace
from worker.verdict import make_dead_letter

log = structlog.get_logger(__name__)

_FLOAT32_BYTES: Final = 4
_BRIEF_POLL_S: Final = 0.02  # no message ends this poll early, so it bounds how late the intake resumes or goes on
_REGISTRY_BACKOFF_S: Final = (0.5, 15.0)  # first and longest pause between look-ups while the registry is away
_QUIESCE_S: Final = 10.0  # the longest a rebalance waits for the transaction in flight


def delivery_bytes(settings: Settings) -> int:
    """Bytes the decoded windows of one delivery take at most."""
    return settings.windows_per_track * SEGMENT_SAMPLES * SEGMENT_CHANNELS * _FLOAT32_BYTES


class Intake:
    """Polls on the calling thread until told to stop, then until what is in flight is done.

    Args:
        consumer: a group member that is not subscribed yet; no other thread may use it.
        settings: topic and sizes.
        ledger: where polled events are entered.
        budget: the ledger's; the intake pauses while it is spent.
        brake: once it is engaged nothing more is taken; the intake polls on and keeps its partitions.
        wire: decodes the events.
        dispatch: takes a delivery to the lanes; must not block.
        quiesce: keeps transactions away for as long as partitions are given up; waits for the one in flight.
        on_poll: told each time the loop comes round; for the probes.
        replay_id: the replay all events are taken for, whatever their headers say.
    """

    def __init__(
        self,
        consumer: MemberConsumer,
        settings: Settings,
        *,
        ledger: Ledger[Outcome],
        budget: Budget,
        brake: Brake,
        wire: Wire,
        dispatch: Callable[[Ticket, Event, Delivery], None],
        quiesce: Callable[[float], AbstractContextManager[bool]],
        on_poll: Callable[[], None] = lambda: None,
        replay_id: str | None = None,
    ) -> None:
        self._consumer = consumer
        self._topics = [settings.deliveries_topic]
        self._retries_topic = settings.retries_topic if settings.retry_attempts else None
        if self._retries_topic is not None:
            self._topics.append(self._retries_topic)
        self._not_due = NotDue(RetryPlan.of(settings))
        self._delivery_bytes = delivery_bytes(settings)
        self._ledger = ledger
        self._budget = budget
        self._brake = brake
        self._wire = wire
        self._dispatch = dispatch
        self._quiesce = quiesce
        self._on_poll = on_poll
        self._replay_id = replay_id
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._is_orderly = True  # what is given up is given up on purpose, not in the fall
        self._is_paused = False
        self._has_new_partitions = False
        self._undecided: dict[Partition, deque[tuple[Ticket, Event]]] = {}  # the registry is to be asked again
        self._next_look_up = 0.0
        self._look_up_pause_s = _REGISTRY_BACKOFF_S[0]
        self._complaints: dict[int, float] = {}
        self._gate: Gate[Event] = Gate(
            consumer,
            ledger,
            window=settings.max_in_flight_deliveries,
            most_deaths=settings.quarantine_after_deaths,
        )
        self._poll_gap = PollGap(time.monotonic())
        consumer.on_commit = self._gate.on_commit
        consumer.on_statistics = LagGauge(ledger, self._not_due).show

    def stop(self) -> None:
        """End the intake; from any thread, or a signal handler."""
        self._stopping.set()

    def fail(self, error: BaseException, *, at_work: bool = False) -> None:
        """End the intake with an error that `run` raises; from any thread.

        Args:
            error: what went wrong.
            at_work: it came from judging a delivery, and counts like a death of the process: it may come again.
        """
        self._failure = self._failure or error
        self._is_orderly = self._is_orderly and not at_work and isinstance(error, FatalError)
        self._stopping.set()

    def run(self, drain_deadline_s: float) -> bool:
        """Take events until `stop`; then poll on without taking any until all in flight are committed.

        Polling on keeps the partitions, and lets the group rebalance, while lanes and publisher finish.

        Args:
            drain_deadline_s: time for what is in flight, after `stop`.

        Returns:
            Whether all that was in flight got committed.

        Raises:
            FatalError: the consumer can't go on.
            BrakeError: the brake was engaged.
            BaseException: whatever `fail` was told.
        """
        try:
            return self._run(drain_deadline_s)
        except BaseException as error:
            self.fail(error)
            raise

    def _run(self, drain_deadline_s: float) -> bool:
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        while not self._stopping.is_set():
            self._step()
        self._raise_failure()
        log.info("draining", in_flight=self._ledger.unsettled)
        deadline = time.monotonic() + drain_deadline_s
        # What waits, for the registry or at the gate, is last in its partition: nothing is held up by leaving it
        # to the next owner.
        while self._ledger.unsettled > self._waiting() and time.monotonic() < deadline:
            self._step()
            self._raise_failure()
        return self._ledger.unsettled <= self._waiting()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._brake.is_engaged:
            raise BrakeError(f"Nothing was published any more: {self._brake.why}; the log says which.")

    def close(self) -> None:
        """Leave the group.  What is in flight stays uncommitted."""
        self._consumer.close()

    def _step(self) -> None:
        self._pause_or_resume()
        is_brief = self._is_paused or self._gate.waiting
        message = self._consumer.poll(_BRIEF_POLL_S if is_brief else POLL_TIMEOUT_S)
        self._on_poll()
        self._consumer.note_membership()
        LAST_POLL_TIMESTAMP.set_to_current_time()
        LONGEST_POLL_GAP_SECONDS.set(self._poll_gap.polled(time.monotonic()))
        IN_FLIGHT_DELIVERIES.set(self._budget.count)
        IN_FLIGHT_BYTES.set(self._budget.bytes)
        OLDEST_UNSETTLED_SECONDS.set(self._ledger.oldest_unsettled_s)
        if message is not None:
            error = message.error()
            if error is None:
                self._take(event_of(message, self._retries_topic))
            else:
                self._complain(error)
        self._take_due()
        NOT_DUE_PARTITIONS.set(len(self._not_due.partitions))
        self._look_up_again()
        if not self._takes_no_more:
            self._begin_what_is_due()

    @property
    def _takes_no_more(self) -> bool:
        return self._stopping.is_set() or self._brake.is_engaged

    def _pause_or_resume(self) -> None:
        """Pause all partitions while the budget is spent or no more is taken; those that came later too."""
        wants_pause = self._takes_no_more or self._budget.should_pause()
        if not self._is_paused and wants_pause:
            self._is_paused = True
            self._consumer.pause(self._consumer.assignment())
        elif self._is_paused and self._has_new_partitions:
            self._consumer.pause(self._consumer.assignment())
        elif self._is_paused and not self._takes_no_more and self._budget.should_resume():
            self._is_paused = False
            self._resume_all()
        elif not self._is_paused and self._has_new_partitions:
            self._resume_all()  # one that was paused here before it went and came back
        self._has_new_partitions = False
        PAUSED.set(self._is_paused)

    def _resume_all(self) -> None:
        waiting = self._undecided.keys() | self._not_due.partitions
        self._consumer.resume([each for each in self._consumer.assignment() if _key(each) not in waiting])

    def _resume(self, partition: Partition) -> None:
        """Let a partition go on, unless something in it still waits, or all wait for the budget."""
        if not (self._is_paused or partition in self._undecided or partition in self._not_due.partitions):
            self._consumer.resume([TopicPartition(*partition)])

    def _take(self, event: Event) -> None:
        if self._not_due.keep(event):
            self._consumer.pause([TopicPartition(*event.partition)])
        else:
            self._take_now(event)

    def _take_due(self) -> None:
        """Take the events of the retries topic whose time has come, as far as the budget goes."""
        while not (self._takes_no_more or self._is_paused or self._budget.should_pause()):
            event = self._not_due.next_due()
            if event is None:
                return
            self._take_now(event)
            self._resume(event.partition)

    def _take_now(self, event: Event) -> None:
        waiting = self._undecided.get(event.partition)  # fetched before it was paused
        must_wait = self._gate.must_wait(event.source)
        if must_wait or waiting is not None:
            ticket = self._enter(event, self._delivery_bytes)
            if ticket is not None and must_wait:
                self._gate.hold(ticket, event)
            elif ticket is not None and waiting is not None:
                waiting.append((ticket, event))
            return
        try:
            delivery = self._decode(event)
        except TransientError as error:
            ticket = self._enter(event, self._delivery_bytes)
            if ticket is not None:
                self._wait_for_registry(ticket, event, error)
        except BadEventError as error:
            ticket = self._enter(event, 0)
            if ticket is not None:
                self._refuse(ticket, event, error)
        else:
            ticket = self._enter(event, self._delivery_bytes)
            if ticket is not None:
                self._start(ticket, event, delivery)

    def _begin_what_is_due(self) -> None:
        """Take the events that the gate lets through."""
        for ticket, event, deaths, is_condemned in self._gate.due():
            if is_condemned:
                log.error("delivery_quarantined", deaths=deaths, **_where(event.source))
                detail = f"The worker's process died {deaths} times while it judged this event and nothing else."
                self._refuse(ticket, event, BadEventError(DeadLetterReason.QUARANTINED, detail))
                continue
            waiting = self._undecided.get(ticket.partition)
            if waiting is not None:
                waiting.append((ticket, event))
                continue
            try:
                self._start(ticket, event, self._decode(event))
            except TransientError as error:
                self._wait_for_registry(ticket, event, error)
            except BadEventError as error:
                self._refuse(ticket, event, error)

    def _start(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        self._ledger.started(ticket)
        self._dispatch(ticket, event, delivery)

    def _wait_for_registry(self, ticket: Ticket, event: Event, error: TransientError) -> None:
        # Later events of this partition wait behind this one; the other partitions go on.
        self._undecided[ticket.partition] = deque([(ticket, event)])
        self._consumer.pause([TopicPartition(*ticket.partition)])
        self._postpone_look_ups(error)

    def _enter(self, event: Event, decoded_bytes: int) -> Ticket | None:
        trace = DeliveryTrace.begin(event.headers, event.source, event.attempt)
        replay_id = self._replay_id or event.replay_id
        ticket = self._ledger.polled(event.source, event.size + decoded_bytes, replay_id, trace)
        if ticket is not None:
            EVENTS_POLLED.inc()
        return ticket

    def _decode(self, event: Event) -> Delivery:
        if event.fault is not None:
            raise event.fault
        if event.size > MAX_EVENT_BYTES:
            raise BadEventError(
                DeadLetterReason.EVENT_TOO_LARGE,
                f"The event has {event.size} bytes; {MAX_EVENT_BYTES} are allowed.",
            )
        try:
            return self._wire.decode_delivery(event.value)
        except (BadEventError, TransientError):
            raise
        except Exception as error:
            # A fault of ours.  Without this, the event would end each worker that gets its partition.
            log.exception("event_not_decodable", **_where(event.source))
            raise BadEventError(
                DeadLetterReason.INTERNAL_ERROR, f"The event could not be read ({type(error).__name__})."
            ) from error

    def _refuse(self, ticket: Ticket, event: Event, error: BadEventError) -> None:
        letter = make_dead_letter(error, event.origin, event.key, event.value, event.headers, datetime.now(UTC))
        self._ledger.complete(ticket, letter)

    def _look_up_again(self) -> None:
        """Try one event that waits for the registry; a failure postpones them all, and the next partition is next."""
        WAITING_FOR_REGISTRY.set(len(self._undecided))
        if not self._undecided or time.monotonic() < self._next_look_up:
            return
        partition, waiting = next(iter(self._undecided.items()))
        ticket, event = waiting[0]
        try:
            delivery = self._decode(event)
        except TransientError as error:
            self._undecided[partition] = self._undecided.pop(partition)  # one unknown schema must not hold up the rest
            self._postpone_look_ups(error)
            return
        except BadEventError as error:
            self._refuse(ticket, event, error)
        else:
            self._start(ticket, event, delivery)
        self._look_up_pause_s = _REGISTRY_BACKOFF_S[0]
        waiting.popleft()
        if waiting:
            return
        del self._undecided[partition]
        self._resume(partition)

    def _postpone_look_ups(self, error: TransientError) -> None:
        REGISTRY_FAILURES.inc()
        if time.monotonic() < self._next_look_up:
            return  # one partition after another meets the same trouble; that makes it no worse
        log.warning(
            "waiting_for_registry",
            error=str(error),
            retry_in_s=self._look_up_pause_s,
            partitions=sorted(number for _topic, number in self._undecided),
        )
        self._next_look_up = time.monotonic() + self._look_up_pause_s
        self._look_up_pause_s = min(_REGISTRY_BACKOFF_S[1], 2 * self._look_up_pause_s)

    def _waiting(self) -> int:
        return self._gate.waiting + sum(map(len, self._undecided.values()))

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._ledger.assign(map(_key, partitions))
        self._has_new_partitions = True
        self._note_assignment("partitions_assigned", partitions)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        with self._quiesce(_QUIESCE_S) as is_quiet:
            if not is_quiet:
                log.warning("transaction_outlasts_revocation")
            elif self._is_orderly:
                self._gate.release(map(_key, partitions), is_failing=self._failure is not None)
            self._give_up(partitions)
        self._note_assignment("partitions_revoked", partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(partitions)
        self._note_assignment("partitions_lost", partitions)

    def _give_up(self, partitions: list[TopicPartition]) -> None:
        keys = {_key(each) for each in partitions}
        self._ledger.revoke(keys)
        self._not_due.forget(keys)
        for ticket in self._gate.forget(keys):
            self._ledger.drop(ticket)
        for key in keys:
            for ticket, _ in self._undecided.pop(key, ()):
                self._ledger.drop(ticket)

    def _note_assignment(self, what: str, partitions: list[TopicPartition]) -> None:
        held = self._ledger.partitions
        for topic in self._topics:
            ASSIGNED_PARTITIONS.labels(topic).set(sum(each == topic for each, _ in held))
        log.info(what, partitions=sorted(f"{each.topic}/{each.partition}" for each in partitions), held=len(held))

    def _complain(self, error: KafkaError) -> None:
        """Log an error of the consumer, each kind once in a while; raise the fatal ones."""
        if error.fatal():
            raise FatalError(f"Kafka's consumer can't go on: {error.str()}")
        now = time.monotonic()
        if now - self._complaints.get(error.code(), -60.0) >= 60.0:  # noqa: PLR2004 -- a line a minute
            self._complaints[error.code()] = now
            log.warning("consumer_error", error=error.str(), code=error.name())


def _key(partition: TopicPartition) -> Partition:
    return partition.topic, partition.partition


def _where(source: Coordinates) -> dict[str, object]:
    return {"topic": source.topic, "partition": source.partition, "offset": source.offset}
