"""Writes outcomes and offsets in Kafka transactions, on a thread of its own.

One transaction holds the outcomes that are ready and the offsets that say they are done,
so a `read_committed` reader sees both or neither.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from worker.exceptions import FatalError, TransientError
from worker.kafka.accounts import Accounts
from worker.kafka.brake import Brake
from worker.kafka.ledger import Ledger, ReadyBatch
from worker.kafka.membership import MemberConsumer
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.transaction import CALL_TIMEOUT_S, AbortedError, StoppedError, Transactions
from worker.records import DeadLetter, PassedOver
from worker.tracing import transaction

log = structlog.get_logger(__name__)

_BATCH: Final = 200  # outcomes in one transaction, at most
_IDLE_S: Final = 1.0  # between looks at the client's health while there is nothing to publish
_START_LIMIT_S: Final = 60.0  # for brokers that are away when the worker starts; a restart asks again
_RECOVERY_S: Final = 30.0  # for a broker to restart, or for a coordinator to move


def stall_limit_s(transaction_timeout_ms: int) -> float:
    """Time after which a transaction that has not ended will not end well, seconds.

    The brokers roll a transaction back once it is older than `transaction.timeout.ms`; our abort, which follows,
    gets as long again, and brokers that come back a little time to do so.  What lasts longer hangs in the client,
    or waits for brokers that stay away: a new process knows as much as this one.
    """
    return 2 * transaction_timeout_ms / 1_000 + _RECOVERY_S


class Publisher:
    """Publishes what is ready in the ledger.

    Args:
        producer: a transactional producer that nobody else uses.
        consumer: the group member whose offsets are committed; its noted membership is all that is used of it.
        ledger: what is ready.
        records: makes the records of the outcomes.
        brake: stops all publishing when too much of it is dead letters.
        fail: told once, from a thread of the publisher's, of an error that must stop the worker.
        stall_limit_s: time after which a transaction that does not end counts as such an error.
        start_limit_s: time after which brokers that do not answer at the start count as such an error.
    """

    def __init__(
        self,
        producer: Producer,
        consumer: MemberConsumer,
        ledger: Ledger[Outcome],
        records: OutcomeRecords,
        brake: Brake,
        *,
        fail: Callable[[BaseException], None],
        stall_limit_s: float,
        start_limit_s: float = _START_LIMIT_S,
    ) -> None:
        self._producer = producer
        self._transactions = Transactions(producer)
        self._consumer = consumer
        self._ledger = ledger
        self._records = records
        self._brake = brake
        self._fail = fail
        self._stall_limit_s = stall_limit_s
        self._start_limit_s = start_limit_s
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._transaction = threading.Lock()  # held from taking outcomes to settling them
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._failed = threading.Event()
        self._ended = threading.Event()
        self._in_transaction_since: float | None = None
        self._accounts = Accounts()

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
            self._transactions.give_up()
            self._thread.join(CALL_TIMEOUT_S)
        return not self._thread.is_alive() and not self._giving_up.is_set()

    def report_fatal(self, error: KafkaError) -> None:
        """Take a fatal error from the producer's callback."""
        self._stopping.set()
        self._report(FatalError(f"Kafka's producer can't go on: {error.str()}"))

    def _run(self) -> None:
        try:
            self._transactions.open(self._start_limit_s)
            self._ready.set()
            while not self._giving_up.is_set():
                if self._brake.is_engaged:
                    if self._stopping.wait(_IDLE_S):
                        return
                    self._producer.poll(0)
                    continue
                is_ready = self._ledger.wait_until_ready(0 if self._stopping.is_set() else _IDLE_S)
                if not is_ready and self._stopping.is_set():
                    return
                self._producer.poll(0)
                if is_ready and not self._publish_ready():
                    self._transactions.pause()
        except StoppedError:
            log.warning("publisher_gave_up")
        except KafkaException as error:  # `poll` brought the client's last error
            self.report_fatal(error.args[0])
        except BaseException as error:  # noqa: BLE001 -- a publisher that dies in silence would stop the offsets
            self._report(error)
        finally:
            self._ended.set()

    def _watch(self) -> None:
        """Tell of a transaction that does not end: librdkafka can hang in a call in spite of its timeout."""
        while not self._ended.wait(min(1.0, self._stall_limit_s / 2)):
            since = self._in_transaction_since
            if since is not None and time.monotonic() - since > self._stall_limit_s:
                self._report(
                    FatalError(
                        f"A Kafka transaction has not ended for {self._stall_limit_s:.0f} s: the brokers have rolled "
                        "it back by now.  Check the brokers; a restarted worker goes on from the committed offsets."
                    )
                )
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
            outcomes = [(ticket, each) for ticket, each in batch.outcomes if not isinstance(each, PassedOver)]
            is_dead_letter = [isinstance(outcome, DeadLetter) for _, outcome in outcomes]
            if not self._brake.admits(is_dead_letter):
                self._ledger.returned(batch)
                self._accounts.stopped(batch, self._brake.why)
                return True
            self._in_transaction_since = started = time.monotonic()
            try:
                self._run_transaction(batch, membership)
            except (AbortedError, TransientError) as error:
                self._ledger.returned(batch)
                log.warning("transaction_put_back", outcomes=len(batch.outcomes), error=str(error))
                if isinstance(error, AbortedError):
                    self._records.shrink(error.rejected)
                return False
            except BaseException:
                # A commit without an answer may have worked: what it held stays taken, and nobody touches its offsets.
                if not self._transactions.is_in_doubt:
                    self._ledger.returned(batch)
                raise
            finally:
                self._in_transaction_since = None
            self._ledger.committed(batch)
            self._brake.published(is_dead_letter)
        self._accounts.published([(ticket, self._records.written(ticket, each)) for ticket, each in outcomes], started)
        for ticket, _ in batch.outcomes:
            self._records.forget(ticket)
        return True

    def _run_transaction(self, batch: ReadyBatch[Outcome], membership: bytes) -> None:
        records = [
            self._records.record(ticket, outcome)
            for ticket, outcome in batch.outcomes
            if not isinstance(outcome, PassedOver)
        ]
        offsets = [
            TopicPartition(*partition, offset, metadata=batch.marks[partition].to_metadata())
            for partition, offset in batch.next_offsets.items()
        ]
        with transaction([ticket.trace for ticket, _ in batch.outcomes]):
            self._transactions.run(records, offsets, membership)
