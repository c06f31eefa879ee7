"""A worker with everything of Kafka's and nothing of audio's: each delivery is accepted after a random nap.

Tests run it on a thread; `python -m tests.integration.trivial_worker` runs it in a process that can be killed.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Self

from confluent_kafka import Producer

from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.client_config import consumer_config, make_consumer, make_producer, producer_config
from worker.kafka.event import Event
from worker.kafka.intake import Intake, delivery_bytes
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.publisher import Publisher, stall_limit_s
from worker.kafka.retry_plan import RetryPlan
from worker.kafka.wire import Wire
from worker.records import Decision, Delivery, DetectorIdentity, Judgement, Reason
from worker.settings import Settings
from worker.verdict import make_verdict

DETECTOR = DetectorIdentity("trivial", "1", "00" * 32, "1")
KILLER = "kills-the-process"  # the provider of deliveries that do
ACCEPT = Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "Accepted unheard.")


class TrivialWorker:
    """Intake, lanes that nap, publisher.

    Args:
        settings: as the worker's.
        nap_s: longest nap of a lane.
        wire: another wire, to play tricks with.
        drain_s: time for what is in flight once told to stop.
        on_delivery: called by a lane with each delivery, to play tricks with.
        wrap_producer: puts something around the producer, to play tricks with.
        judge: judges another way than to accept.
    """

    def __init__(
        self,
        settings: Settings,
        nap_s: float = 0.02,
        wire: Wire | None = None,
        drain_s: float = 10,
        wrap_producer: Callable[[Producer], Producer] = lambda producer: producer,
        on_delivery: Callable[[Delivery], None] = lambda _delivery: None,
        judge: Callable[[Delivery], Judgement] = lambda _: ACCEPT,
    ) -> None:
        self.settings = settings
        self.nap_s = nap_s
        self.judge = judge
        self.retries = RetryPlan.of(settings)
        self.wire = wire or Wire(settings)
        self.drain_s = drain_s
        self.on_delivery = on_delivery
        self._closed = threading.Event()
        self.budget = Budget(settings.max_in_flight_deliveries, settings.max_in_flight_bytes, delivery_bytes(settings))
        self.brake = Brake(settings.brake_dead_letters, settings.brake_window)
        self.ledger: Ledger[Outcome] = Ledger(self.budget)
        self.most_in_flight = 0
        self.stale = 0
        self.failure: BaseException | None = None
        self.is_drained = False
        self.hold = threading.Event()  # lanes wait for it
        self.hold.set()
        self._lanes = ThreadPoolExecutor(settings.lanes)
        self.consumer = make_consumer(consumer_config(settings))
        self.publisher = Publisher(
            wrap_producer(make_producer(producer_config(settings))),
            self.consumer,
            self.ledger,
            OutcomeRecords(self.wire, settings),
            self.brake,
            stall_limit_s=stall_limit_s(settings.kafka_transaction_timeout_ms),
            fail=lambda error: self.intake.fail(error),  # noqa: PLW0108 -- the intake is made below
        )
        self.intake = Intake(
            self.consumer,
            settings,
            ledger=self.ledger,
            budget=self.budget,
            brake=self.brake,
            wire=self.wire,
            dispatch=self._dispatch,
            quiesce=self.publisher.quiesce,
        )
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Run until `intake.stop`."""
        try:
            self.publisher.start()
            self.is_drained = self.intake.run(self.drain_s)
        except BaseException as error:  # noqa: BLE001 -- told by `stop`
            self.failure = error
        finally:
            self._closed.set()
            self.hold.set()
            self._lanes.shutdown(cancel_futures=True)
            self.publisher.close(10)
            self.intake.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop, wait, and raise what went wrong inside."""
        self.intake.stop()
        self._thread.join(40)
        assert not self._thread.is_alive(), "the worker did not end"
        if self.failure is not None:
            raise self.failure

    def _dispatch(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        self.most_in_flight = max(self.most_in_flight, self.budget.count)
        self._lanes.submit(self._judge, ticket, event, delivery)

    def _judge(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        try:
            self._settle(ticket, event, delivery)
        except BaseException as error:  # noqa: BLE001 -- told by `stop`
            if not self._closed.is_set():
                self.intake.fail(error, at_work=True)

    def _settle(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        self.hold.wait()
        time.sleep(random.uniform(0, self.nap_s))  # noqa: S311 -- a nap
        self.on_delivery(delivery)
        judgement = self.judge(delivery)
        verdict = make_verdict(delivery, judgement, DETECTOR, event.origin, datetime.now(UTC), ticket.replay_id)
        if not self.ledger.complete(ticket, self.retries.outcome(event, verdict)):
            self.stale += 1


def _kill_if_told(delivery: Delivery) -> None:
    if delivery.provider == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run until SIGTERM, with settings from the environment; deliveries of `KILLER` kill the process."""
    worker = TrivialWorker(Settings(_env_file=None), nap_s=0.05, on_delivery=_kill_if_told)
    signal.signal(signal.SIGTERM, lambda *_: worker.intake.stop())
    worker.run()
    if worker.failure is not None:
        raise worker.failure


if __name__ == "__main__":
    main()
