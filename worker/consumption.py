"""Intake, lanes and publisher put together, run until told to stop, drained, taken down.

The order of the teardown matters: first the outcomes are published, then the group is left,
then whoever opened the pipeline kills its decoders, which ends the lanes that are still at work.
"""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError

from worker.health import HealthState
from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.client_config import make_producer, producer_config
from worker.kafka.event import Event
from worker.kafka.intake import Intake
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.membership import MemberConsumer
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.publisher import Publisher, stall_limit_s
from worker.kafka.retry_plan import RetryPlan
from worker.kafka.wire import Wire
from worker.lanes import Lanes
from worker.readiness import readiness
from worker.records import Coordinates, Delivery, PassedOver
from worker.settings import Settings
from worker.stop_signals import stop_on_signals

if TYPE_CHECKING:  # it brings TensorFlow, which whoever judges has loaded
    from worker.pipeline import Pipeline

log = structlog.get_logger(__name__)

_PUBLISHER_CLOSE_S = 10.0  # after the drain only a transaction in flight is left to end


class Consumption:
    """Deliveries in, outcomes out: live work and replays alike.

    Args:
        settings: topics, group, sizes.
        pipeline: judges.
        consumer: a group member that is not subscribed yet.
        budget: what may be in flight.
        health: what the probes report; kept up to date.
        on_poll: told each time the poll loop comes round, on its thread.
        takes: whether a delivery is meant; one that is not is passed over.
        replay_id: the replay all of it belongs to.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: "Pipeline",
        consumer: MemberConsumer,
        budget: Budget,
        *,
        health: HealthState,
        on_poll: Callable[[], None] = lambda: None,
        takes: Callable[[Delivery], bool] = lambda _delivery: True,
        replay_id: str | None = None,
    ) -> None:
        self._drain_deadline_s = settings.drain_deadline_s
        self._health = health
        self._also_on_poll = on_poll
        self._takes = takes
        self._replay_id = replay_id
        self._wire = Wire(settings, patience_s=settings.schema_registry_patience_s)
        self._ledger: Ledger[Outcome] = Ledger(budget)
        self._brake = Brake(settings.brake_dead_letters, settings.brake_window)
        self._publisher = Publisher(
            make_producer(producer_config(settings), on_fatal=self._on_fatal),
            consumer,
            self._ledger,
            OutcomeRecords(self._wire, settings),
            self._brake,
            fail=self._fail,
            stall_limit_s=stall_limit_s(settings.kafka_transaction_timeout_ms),
        )
        self._lanes = Lanes(
            pipeline, self._ledger, RetryPlan.of(settings), fail=self._fail_at_work, count=settings.lanes
        )
        self._intake = Intake(
            consumer,
            settings,
            ledger=self._ledger,
            budget=budget,
            brake=self._brake,
            wire=self._wire,
            dispatch=self._dispatch,
            quiesce=self._publisher.quiesce,
            on_poll=self._on_poll,
            replay_id=replay_id,
        )

    @property
    def stopped_by(self) -> str | None:
        """Why the dead-letter brake is engaged; None if it is not."""
        return self._brake.why if self._brake.is_engaged else None

    def run(self) -> list[signal.Signals]:
        """Work until `stop`, SIGTERM or SIGINT, on the calling thread, which must be the main one.

        Returns:
            The signals that arrived.

        Raises:
            FatalError: this process must not go on; what is in flight stays uncommitted.
        """
        try:
            self._publisher.start()
            with stop_on_signals(self._intake.stop) as arrived:
                is_drained = self._intake.run(self._drain_deadline_s)
            log.info("drained" if is_drained else "drain_deadline_passed", left_uncommitted=self._ledger.unsettled)
        finally:
            self._health.set_ready(ready=False, why="stopping")
            self._lanes.close()
            self._publisher.close(_PUBLISHER_CLOSE_S)
            self._intake.close()
            self._wire.close()
        return arrived

    def stop(self) -> None:
        """Drain and end; from any thread."""
        self._intake.stop()

    def pass_over(self, source: Coordinates) -> bool:
        """Let an offset be committed that no event stands at; on the poll thread.  False if it is not ours."""
        ticket = self._ledger.polled(source, 0, self._replay_id)
        return ticket is not None and self._ledger.complete(ticket, PassedOver())

    def _on_poll(self) -> None:
        self._health.heartbeat()
        self._health.set_ready(
            *readiness(
                is_publishing=self._publisher.is_ready,
                partitions=len(self._ledger.partitions),
                stopped_by=self.stopped_by,
            )
        )
        self._also_on_poll()

    def _dispatch(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        if self._takes(delivery):
            self._lanes.dispatch(ticket, event, delivery)
        else:
            self._ledger.complete(ticket, PassedOver())

    # The clients report to objects that are built from them; these close the circle.

    def _fail(self, error: BaseException) -> None:
        self._intake.fail(error)

    def _fail_at_work(self, error: BaseException) -> None:
        self._intake.fail(error, at_work=True)

    def _on_fatal(self, error: KafkaError) -> None:
        self._publisher.report_fatal(error)
