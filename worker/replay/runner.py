"""Works on a replay until its plan is done: the worker's own parts, over a consumer that ends.

It is a worker of its own: own group, own topics, own process. Live workers share nothing with it but the brokers,
the object store and, where they run on one machine, its cores, which is why the process lowers its own priority.
"""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaError

from worker.kafka.brake import Brake
from worker.kafka.client_config import (
    ClientConfig,
    consumer_config,
    make_client,
    make_producer,
    producer_config,
)
from worker.kafka.event import Event
from worker.kafka.intake import Intake, delivery_bytes
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.publisher import Publisher, stall_limit_s
from worker.kafka.retry_plan import RetryPlan
from worker.kafka.wire import Wire
from worker.lanes import Lanes
from worker.records import Coordinates, Delivery, PassedOver
from worker.replay.bounded_consumer import BoundedConsumer
from worker.replay.group_offsets import GroupOffsets
from worker.replay.live_lag import LiveLag
from worker.replay.pace import Pace, PacedBudget
from worker.replay.plan import ReplayPlan, committed_in, refuse_other_detector
from worker.replay.progress import Progress
from worker.replay.watch import Watch
from worker.settings import Settings
from worker.stop_signals import stop_on_signals

if TYPE_CHECKING:  # it brings TensorFlow, which whoever judges has loaded
    from worker.pipeline import Pipeline

log = structlog.get_logger(__name__)

_PUBLISHER_CLOSE_S: Final = 10.0  # after the drain only a transaction in flight is left to end


@dataclass(frozen=True, slots=True)
class Restraint:
    """What keeps a replay behind live work.

    Attributes:
        per_second: deliveries a second of this process, at most.
        hold_above_lag: the live group's lag above which it waits.
    """

    per_second: float | None = None
    hold_above_lag: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended.

    Attributes:
        progress: of all processes together.
        stopped_by: the signal that ended this process before the plan was done.
    """

    progress: Progress
    stopped_by: signal.Signals | None = None


Report = Callable[[Progress, str | None], None]  # progress, and what the replay waits for


def run_replay(
    settings: Settings,
    plan: ReplayPlan,
    pipeline: "Pipeline",
    *,
    restraint: Restraint = Restraint(),
    report: Report = lambda _progress, _waits_for: None,
) -> Ending:
    """Work until every range of the plan is committed, whoever judged it, or until SIGTERM or SIGINT.

    Any number of processes may work on a plan; the consumer group gives each its partitions.

    Args:
        settings: of the live worker; the plan decides what differs.
        plan: what to do.
        pipeline: judges; the one that was planned.
        restraint: what keeps it behind live work.
        report: told about once a second, on a thread of its own.

    Raises:
        SettingsError: the network or the policy is not the plan's.
        FatalError: this process must not go on; what is in flight stays uncommitted.
    """
    refuse_other_detector(plan, pipeline.identity)
    own = plan.apply_to(settings)
    topic = plan.request.topic
    with ExitStack() as stack:
        live_lag: LiveLag | None = None
        if restraint.hold_above_lag is not None:
            live = stack.enter_context(GroupOffsets(settings, settings.kafka_group_id, settings.deliveries_topic))
            live_lag = stack.enter_context(LiveLag(live.lag, restraint.hold_above_lag))
        offsets = stack.enter_context(GroupOffsets(own, own.kafka_group_id, topic))
        consumption = _Consumption(own, plan, pipeline, Pace(restraint.per_second), live_lag)

        def committed() -> int:
            return committed_in(plan, offsets.committed(sorted(plan.ranges)))

        def tell(progress: Progress) -> None:
            report(progress, live_lag.held_because if live_lag else None)

        with Watch(plan.offsets, committed, on_done=consumption.stop, report=tell) as watch:
            arrived = consumption.run()
        progress = watch.look()
    return Ending(progress, arrived[0] if arrived and not progress.is_complete else None)


class _Consumption:
    """Intake, lanes and publisher of one process.

    Args:
        settings: with the plan's group and topics.
        plan: what to read.
        pipeline: judges.
        pace: how fast.
        live_lag: what holds it, if anything.
    """

    def __init__(
        self, settings: Settings, plan: ReplayPlan, pipeline: "Pipeline", pace: Pace, live_lag: LiveLag | None
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._pace = pace
        self._wire = wire = Wire(settings, patience_s=settings.schema_registry_patience_s)
        budget = PacedBudget(
            settings.max_in_flight_deliveries,
            settings.max_in_flight_bytes,
            delivery_bytes(settings),
            pace=pace,
            is_held=lambda: live_lag is not None and live_lag.held_because is not None,
        )
        self._brake = brake = Brake(settings.brake_dead_letters, settings.brake_window)
        self._ledger: Ledger[Outcome] = Ledger(budget)
        self._consumer: BoundedConsumer = make_client(
            lambda config: BoundedConsumer(config, plan.request.topic, plan.ranges),
            ClientConfig({**consumer_config(settings), "enable.partition.eof": True}),
        )
        self._publisher = Publisher(
            make_producer(producer_config(settings), on_fatal=self._on_fatal),
            self._consumer,
            self._ledger,
            OutcomeRecords(wire, settings),
            brake,
            fail=self._fail,
            stall_limit_s=stall_limit_s(settings.kafka_transaction_timeout_ms),
        )
        self._lanes = Lanes(
            pipeline, self._ledger, RetryPlan.of(settings), fail=self._fail_at_work, count=settings.lanes
        )
        self._intake = Intake(
            self._consumer,
            settings,
            ledger=self._ledger,
            budget=budget,
            brake=brake,
            wire=wire,
            dispatch=self._dispatch,
            quiesce=self._publisher.quiesce,
            on_poll=self._on_poll,
            replay_id=plan.replay_id,
        )

    def run(self) -> list[signal.Signals]:
        """Work until told to stop; return the signals that told it."""
        try:
            self._publisher.start()
            with stop_on_signals(self._intake.stop) as arrived:
                is_drained = self._intake.run(self._settings.drain_deadline_s)
            log.info("drained" if is_drained else "drain_deadline_passed", left_uncommitted=self._ledger.unsettled)
        finally:
            self._lanes.close()
            self._publisher.close(_PUBLISHER_CLOSE_S)
            self._intake.close()
            self._wire.close()
        return arrived

    def stop(self) -> None:
        """End the intake; from any thread."""
        self._intake.stop()

    def _on_poll(self) -> None:
        self._mark_ends()
        if self._brake.is_engaged:
            self._intake.stop()  # nobody looks at a probe here: it ends with the brake's error

    def _dispatch(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        if self._plan.request.selection.takes(delivery):
            self._lanes.dispatch(ticket, event, delivery)
        else:
            self._pass_over(ticket)

    def _mark_ends(self) -> None:
        """Let the last offset of a range be committed where no event stands there; on the poll thread."""
        topic = self._plan.request.topic
        for partition, last in self._consumer.newly_ended():
            ticket = self._ledger.polled(Coordinates(topic, partition, last), 0, self._plan.replay_id)
            if ticket is not None:
                self._pass_over(ticket)

    def _pass_over(self, ticket: Ticket) -> None:
        self._pace.give_back()
        self._ledger.complete(ticket, PassedOver())

    def _fail(self, error: BaseException) -> None:
        self._intake.fail(error)

    def _fail_at_work(self, error: BaseException) -> None:
        self._intake.fail(error, at_work=True)

    def _on_fatal(self, error: KafkaError) -> None:
        self._publisher.report_fatal(error)
