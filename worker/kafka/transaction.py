"""One Kafka transaction after another: which failures of its calls pass, which put it back, which end the worker."""

import random
import threading
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from worker.exceptions import FatalError
from worker.kafka.client_errors import client_error, is_retriable
from worker.kafka.ledger import Ticket
from worker.kafka.outcomes import Record
from worker.metrics import TRANSACTIONS

CALL_TIMEOUT_S: Final = 5.0  # of one call to the transaction coordinator; tried again until it answers
_BACKOFF_MOST_S: Final = 5.0
_MOST_ABORTS: Final = 20  # in a row; more than a minute and a half of them
_FORBIDDEN: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


class AbortedError(Exception):
    """The transaction was rolled back; its outcomes are to be published in another one.

    Args:
        reason: why.
        rejected: the records the brokers did not take, if that was why.
    """

    def __init__(self, reason: KafkaError, rejected: list[tuple[Ticket, KafkaError]]) -> None:
        super().__init__(reason.str())
        self.rejected = rejected


class StoppedError(Exception):
    """Told to stop while waiting for the brokers."""


class _MustAbortError(Exception):
    def __init__(self, reason: KafkaError) -> None:
        super().__init__(reason.str())
        self.reason = reason


class Transactions:
    """Runs transactions on one producer, one at a time.

    Args:
        producer: a transactional producer that nobody else uses.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer: Final = producer
        self._giving_up = threading.Event()
        self._aborts = 0
        self._is_in_doubt = False

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last transaction may or may not have been committed; nobody here knows."""
        return self._is_in_doubt

    def give_up(self) -> None:
        """Stop waiting for the brokers, now and from now on; from any thread."""
        self._giving_up.set()

    def pause(self) -> None:
        """Wait before another try, longer after each abort in a row."""
        self._giving_up.wait(self._backoff_s())

    def open(self, limit_s: float) -> None:
        """Register with the transaction coordinator.

        Args:
            limit_s: how long to wait for brokers that are away.

        Raises:
            FatalError: they stayed away, or refuse this producer.
            StoppedError: told to give up meanwhile.
        """
        try:
            self._retrying(lambda: self._producer.init_transactions(CALL_TIMEOUT_S), stop_after_delay(limit_s))
        except KafkaException as error:
            what = error.args[0].str()
            if is_retriable(error):
                raise FatalError(
                    f"Kafka's transaction coordinator did not answer for {limit_s:.0f} s ({what}): "
                    "check that the brokers in LOSSGATE_KAFKA_BOOTSTRAP_SERVERS are up and can be reached."
                ) from error
            raise FatalError(f"Kafka does not let this worker publish: {what}") from error

    def run(self, records: Sequence[Record], offsets: list[TopicPartition], membership: bytes) -> None:
        """Write records and offsets in one transaction.

        Args:
            records: what to write.
            offsets: what to commit with them.
            membership: of the group member whose offsets they are.

        Raises:
            AbortedError: it was rolled back and may be tried again.
            FatalError: this producer is of no more use.
            StoppedError: told to give up meanwhile.
        """
        rejected: list[tuple[Ticket, KafkaError]] = []
        try:
            self._producer.begin_transaction()
            self._write(records, rejected)
            self._retrying(lambda: self._producer.send_offsets_to_transaction(offsets, membership, CALL_TIMEOUT_S))
            self._is_in_doubt = True
            self._retrying(lambda: self._producer.commit_transaction(CALL_TIMEOUT_S))
        except (KafkaException, SystemError) as error:
            self._abort(client_error(error), rejected)
        except _MustAbortError as error:
            self._abort(error.reason, rejected)
        self._is_in_doubt = False
        self._aborts = 0
        TRANSACTIONS.labels("committed").inc()

    def _write(self, records: Sequence[Record], rejected: list[tuple[Ticket, KafkaError]]) -> None:
        for record in records:
            self._produce(record, rejected)
        while records and self._producer.flush(CALL_TIMEOUT_S):
            self._stop_if_giving_up()
        if rejected:
            raise _MustAbortError(_worst([error for _, error in rejected]))

    def _produce(self, record: Record, rejected: list[tuple[Ticket, KafkaError]]) -> None:
        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                rejected.append((record.ticket, error))

        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=record.headers, on_delivery=on_delivery
                )
            except BufferError:  # the client's queue is full
                self._producer.poll(CALL_TIMEOUT_S)
                self._stop_if_giving_up()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                rejected.append((record.ticket, error.args[0]))
                return
            else:
                return

    def _abort(self, reason: KafkaError, rejected: list[tuple[Ticket, KafkaError]]) -> None:
        """Abort and raise `AbortedError`, or FatalError where the producer is of no more use."""
        TRANSACTIONS.labels("aborted").inc()
        self._aborts += 1
        if reason.fatal() or self._aborts > _MOST_ABORTS or reason.code() in _FORBIDDEN:
            raise FatalError(f"Outcomes can't be published: {reason.str()}")
        self._stop_if_giving_up()
        try:
            self._retrying(lambda: self._producer.abort_transaction(CALL_TIMEOUT_S))
        except KafkaException as error:
            raise FatalError(f"A transaction could not be aborted: {error.args[0].str()}") from error
        self._is_in_doubt = False
        raise AbortedError(reason, rejected)

    def _backoff_s(self) -> float:
        return min(_BACKOFF_MOST_S, 0.05 * 2 ** min(self._aborts, 10)) * random.uniform(0.5, 1)  # noqa: S311 -- jitter

    def _retrying(self, call: Callable[[], object], *stops: stop_base) -> None:
        """Call until it works, fails in a way that does not pass, or waiting has to stop."""
        try:
            Retrying(
                retry=retry_if_exception(is_retriable),
                wait=wait_random_exponential(multiplier=0.05, max=_BACKOFF_MOST_S),
                stop=stop_any(stop_when_event_set(self._giving_up), *stops),
                sleep=sleep_using_event(self._giving_up),
                reraise=True,
            )(call)
        except KafkaException as error:
            if is_retriable(error) and self._giving_up.is_set():
                raise StoppedError from error
            raise

    def _stop_if_giving_up(self) -> None:
        if self._giving_up.is_set():
            raise StoppedError


def _worst(errors: list[KafkaError]) -> KafkaError:
    """Of what the brokers said to several records, what decides over all: a refusal, if there is one."""
    return next((error for error in errors if error.code() in _FORBIDDEN), errors[0])
