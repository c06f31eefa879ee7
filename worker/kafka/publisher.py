"""Writes outcomes and offsets in Kafka transactions, on a thread of its own.

One transaction holds the outcomes that are ready and the offsets that say they are done,
so a `read_committed` reader sees both or neither.
"""

import dataclasses
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_when_event_set, wait_random_exponential

from worker.bounded_labels import BoundedLabels
from worker.constants import MAX_DEAD_LETTER_RAW_BYTES, REPLAY_HEADER
from worker.exceptions import FatalError, TransientError
from worker.kafka.ledger import Ledger, ReadyBatch, Ticket
from worker.kafka.membership import MemberConsumer
from worker.kafka.wire import Wire
from worker.logs import canonical_line
from worker.metrics import (
    DEAD_LETTERS,
    DECISIONS,
    DELIVERY_SECONDS,
    PROVIDER_DECISIONS,
    STAGE_SECONDS,
    TRANSACTIONS,
)
from worker.records import DeadLetter, Decision, Judgement, Reason, Verdict

log = structlog.get_logger(__name__)

Outcome = Verdict | DeadLetter

_BATCH: Final = 200  # outcomes in one transaction, at most
_IDLE_S: Final = 1.0  # between looks at the client's health while there is nothing to publish
_CALL_TIMEOUT_S: Final = 5.0  # of one call to the transaction coordinator; tried again until it answers
_BACKOFF_MOST_S: Final = 5.0
_MOST_ABORTS: Final = 20  # in a row; more than a minute and a half of them
_MOST_PROVIDERS: Final = 100  # with a label of their own
_FORBIDDEN: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


class _AbortedError(Exception):
    """The transaction was aborted, or has to be; its outcomes are to be published in another one."""

    def __init__(self, reason: KafkaError) -> None:
        super().__init__(reason.str())
        self.reason = reason


class _StoppedError(Exception):
    """The publisher was told to stop while it waited for the brokers."""


class Publisher:
    """Publishes what is ready in the ledger.

    Args:
        producer: a transactional producer that nobody else uses.
        consumer: the group member whose offsets are committed; its noted membership is all that is used of it.
        ledger: what is ready.
        wire: encodes the outcomes.
        verdicts_topic: where verdicts go.
        dead_letters_topic: where dead letters go.
        fail: told once, from a thread of the publisher's, of an error that must stop the worker.
        stall_limit_s: time after which a transaction that does not end counts as such an error.
    """

    def __init__(
        self,
        producer: Producer,
        consumer: MemberConsumer,
        ledger: Ledger[Outcome],
        wire: Wire,
        *,
        verdicts_topic: str,
        dead_letters_topic: str,
        fail: Callable[[BaseException], None],
        stall_limit_s: float = 300.0,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._ledger = ledger
        self._wire = wire
        self._verdicts_topic = verdicts_topic
        self._dead_letters_topic = dead_letters_topic
        self._fail = fail
        self._stall_limit_s = stall_limit_s
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._transaction = threading.Lock()  # held from taking outcomes to settling them
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._failed = threading.Event()
        self._ended = threading.Event()
        self._in_transaction_since: float | None = None
        self._too_large: set[Ticket] = set()
        self._aborts = 0
        self._providers = BoundedLabels(_MOST_PROVIDERS)

    @property
    def is_ready(self) -> bool:
        """Whether the transaction coordinator has answered and the thread is at work."""
        return self._ready.is_set() and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread, and one that watches it."""
        self._thread.start()
        threading.Thread(target=self._watch, name="publisher-watch", daemon=True).start()

    @contextmanager
    def quiesce(self, timeout_s: float) -> Iterator[bool]:
        """Let no transaction be in flight inside this block, in which the intake gives partitions up.

        Yields False if one did not end in time.  Then the brokers decide: either its offsets are committed
        before the next owner may read them, or the group's generation fences it.
        """
        is_quiet = self._transaction.acquire(timeout=timeout_s)
        try:
            yield is_quiet
        finally:
            if is_quiet:
                self._transaction.release()

    def close(self, timeout_s: float) -> bool:
        """Publish what is ready, end the transaction in flight and stop; False if that took too long."""
        self._stopping.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._giving_up.set()
            self._thread.join(_CALL_TIMEOUT_S)
        return not self._thread.is_alive() and not self._giving_up.is_set()

    def report_fatal(self, error: KafkaError) -> None:
        """Take a fatal error from the producer's callback."""
        self._stopping.set()
        self._report(FatalError(f"Kafka's producer can't go on: {error.str()}"))

    def _run(self) -> None:
        try:
            self._retrying(lambda: self._producer.init_transactions(_CALL_TIMEOUT_S))
            self._ready.set()
            while not self._giving_up.is_set():
                is_ready = self._ledger.wait_until_ready(0 if self._stopping.is_set() else _IDLE_S)
                if not is_ready and self._stopping.is_set():
                    return
                self._producer.poll(0)
                if is_ready and not self._publish_ready():
                    self._giving_up.wait(self._backoff_s())
        except _StoppedError:
            log.warning("publisher_gave_up")
        except BaseException as error:  # noqa: BLE001 -- a publisher that dies in silence would stop the offsets
            self._report(error)
        finally:
            self._ended.set()

    def _watch(self) -> None:
        """Tell of a transaction that does not end: librdkafka can hang in a call in spite of its timeout."""
        while not self._ended.wait(min(1.0, self._stall_limit_s / 2)):
            since = self._in_transaction_since
            if since is not None and time.monotonic() - since > self._stall_limit_s:
                self._report(FatalError(f"A Kafka transaction has not ended for {self._stall_limit_s:.0f} s."))
                return

    def _report(self, error: BaseException) -> None:
        if not self._failed.is_set():
            self._failed.set()
            self._fail(error)

    def _publish_ready(self) -> bool:
        """Run one transaction; False if it came to nothing and is to be tried again after a pause."""
        with self._transaction:
            # The membership first, the outcomes second: a rebalance in between makes the membership stale and the
            # brokers refuse it.  The other way round, outcomes of a lost partition could pass as a new member's.
            membership = self._consumer.membership
            if membership is None:
                return False
            batch = self._ledger.take_ready(_BATCH)
            if not batch.outcomes:
                return True  # revoked meanwhile
            self._in_transaction_since = started = time.monotonic()
            is_committed = False
            try:
                self._run_transaction(batch, membership)
                is_committed = True
            except (_AbortedError, TransientError) as error:
                log.warning("transaction_put_back", outcomes=len(batch.outcomes), error=str(error))
                return False
            finally:
                self._in_transaction_since = None
                settle = self._ledger.committed if is_committed else self._ledger.returned
                settle(batch)
        self._aborts = 0
        self._account(batch, started)
        return True

    def _run_transaction(self, batch: ReadyBatch[Outcome], membership: bytes) -> None:
        records = [(ticket, *self._record(ticket, outcome)) for ticket, outcome in batch.outcomes]
        offsets = [TopicPartition(*partition, offset) for partition, offset in batch.next_offsets.items()]
        rejected: list[tuple[Ticket, KafkaError]] = []
        try:
            self._producer.begin_transaction()
            for ticket, topic, key, value, headers in records:
                self._produce(ticket, topic, key, value, headers, rejected)
            while self._producer.flush(_CALL_TIMEOUT_S):
                self._stop_if_giving_up()
            if rejected:
                raise self._rejection(rejected)
            self._retrying(
                lambda: self._producer.send_offsets_to_transaction(offsets, membership, _CALL_TIMEOUT_S),
            )
            self._retrying(lambda: self._producer.commit_transaction(_CALL_TIMEOUT_S))
        except KafkaException as error:
            self._abort(error.args[0])
        except _AbortedError as error:
            self._abort(error.reason)
        TRANSACTIONS.labels("committed").inc()

    def _produce(
        self,
        ticket: Ticket,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: list[tuple[str, bytes]],
        rejected: list[tuple[Ticket, KafkaError]],
    ) -> None:
        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                rejected.append((ticket, error))

        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
            except BufferError:  # the client's queue is full
                self._producer.poll(_CALL_TIMEOUT_S)
                self._stop_if_giving_up()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                rejected.append((ticket, error.args[0]))
                return
            else:
                return

    def _rejection(self, rejected: list[tuple[Ticket, KafkaError]]) -> "_AbortedError":
        """Say what follows from records the brokers did not take: another try, a smaller one, or the end."""
        for ticket, error in rejected:
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                if ticket in self._too_large:
                    raise FatalError(
                        f"The outcome of {ticket.source} is too large for its topic even without its details: "
                        "raise the topic's max.message.bytes."
                    )
                self._too_large.add(ticket)
            elif error.code() in _FORBIDDEN:
                raise FatalError(f"An outcome could not be written: {error.str()}")
        return _AbortedError(rejected[0][1])

    def _abort(self, reason: KafkaError) -> None:
        """Abort and raise `_AbortedError`, or FatalError where the producer is of no more use."""
        TRANSACTIONS.labels("aborted").inc()
        self._aborts += 1
        if reason.fatal() or self._aborts > _MOST_ABORTS or reason.code() in _FORBIDDEN:
            raise FatalError(f"Outcomes can't be published: {reason.str()}")
        self._stop_if_giving_up()
        try:
            self._retrying(lambda: self._producer.abort_transaction(_CALL_TIMEOUT_S))
        except KafkaException as error:
            raise FatalError(f"A transaction could not be aborted: {error.args[0].str()}") from error
        raise _AbortedError(reason)

    def _record(self, ticket: Ticket, outcome: Outcome) -> tuple[str, bytes | None, bytes, list[tuple[str, bytes]]]:
        """Topic, key, value and headers of an outcome."""
        if ticket in self._too_large:
            outcome = _slimmed(outcome)
        if isinstance(outcome, DeadLetter):
            letter = _fitting(outcome)
            return self._dead_letters_topic, letter.key, self._wire.encode_dead_letter(letter), []
        headers = [] if outcome.replay_id is None else [(REPLAY_HEADER, outcome.replay_id.encode())]
        try:
            value = self._wire.encode_verdict(outcome)
        except (ValueError, TypeError, OverflowError) as error:
            # A fault of ours, and no reason to stand still: the delivery is named and gets its review.
            log.exception("verdict_not_encodable", delivery_id=outcome.delivery.delivery_id)
            detail = f"The verdict could not be encoded ({type(error).__name__})."
            judgement = Judgement(Decision.REVIEW, Reason.INTERNAL_ERROR, detail)
            value = self._wire.encode_verdict(dataclasses.replace(outcome, judgement=judgement))
        return self._verdicts_topic, outcome.delivery.delivery_id.encode(), value, headers

    def _account(self, batch: ReadyBatch[Outcome], started: float) -> None:
        now = time.monotonic()
        STAGE_SECONDS.labels("publish").observe(now - started)
        for ticket, outcome in batch.outcomes:
            self._too_large.discard(ticket)
            DELIVERY_SECONDS.observe(now - ticket.polled_at)
            if isinstance(outcome, DeadLetter):
                DEAD_LETTERS.labels(outcome.reason.value).inc()
            else:
                decision = outcome.judgement.decision.value
                DECISIONS.labels(decision, outcome.judgement.reason.value).inc()
                PROVIDER_DECISIONS.labels(self._providers.label(outcome.delivery.provider), decision).inc()
            canonical_line(outcome, {"publish": now - started, "total": now - ticket.polled_at})

    def _backoff_s(self) -> float:
        return min(_BACKOFF_MOST_S, 0.05 * 2 ** min(self._aborts, 10)) * random.uniform(0.5, 1)  # noqa: S311 -- jitter

    def _retrying(self, call: Callable[[], object]) -> None:
        """Call until it works, fails in a way that does not pass, or the publisher gives up."""
        try:
            Retrying(
                retry=retry_if_exception(_is_retriable),
                wait=wait_random_exponential(multiplier=0.05, max=_BACKOFF_MOST_S),
                stop=stop_when_event_set(self._giving_up),
                sleep=sleep_using_event(self._giving_up),
                reraise=True,
            )(call)
        except KafkaException as error:
            if _is_retriable(error):
                raise _StoppedError from error
            raise

    def _stop_if_giving_up(self) -> None:
        if self._giving_up.is_set():
            raise _StoppedError


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].retriable()


def _fitting(letter: DeadLetter) -> DeadLetter:
    """Leave out the raw bytes where they would not fit into a record."""
    size = sum(len(name) + len(value or b"") for name, value in letter.headers)
    size += len(letter.key or b"") + len(letter.value or b"")
    return letter if size <= MAX_DEAD_LETTER_RAW_BYTES else _without_raw_bytes(letter)


def _without_raw_bytes(letter: DeadLetter) -> DeadLetter:
    value = letter.value or b""
    return dataclasses.replace(
        letter,
        detail=f"{letter.detail} The {len(value)} bytes of its value (SHA-256 {hashlib.sha256(value).hexdigest()}), "
        "its key and its headers are not repeated here: they don't fit.",
        key=None,
        value=None,
        headers=(),
    )


def _slimmed(outcome: Outcome) -> Outcome:
    if isinstance(outcome, DeadLetter):
        return _without_raw_bytes(outcome)
    return dataclasses.replace(outcome, judgement=dataclasses.replace(outcome.judgement, segments=()))
