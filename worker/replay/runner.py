"""Works on a replay until its plan is done: the worker's own parts, over a consumer that ends.

It is a worker of its own: own group, own topics, own process. Live workers share nothing with it but the brokers,
the object store and, where they run on one machine, its cores, which is why the process lowers its own priority.
"""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.consumption import Consumption
from worker.health import HealthState
from worker.kafka.client_config import ClientConfig, consumer_config, make_client
from worker.kafka.intake import delivery_bytes
from worker.metrics import REPLAY_OFFSETS_DONE, REPLAY_OFFSETS_PLANNED
from worker.records import Coordinates, Delivery
from worker.replay.bounded_consumer import BoundedConsumer
from worker.replay.group_offsets import GroupOffsets
from worker.replay.live_lag import LIVE_LAG_INTERVAL_S, LiveLag
from worker.replay.pace import Pace, PacedBudget
from worker.replay.plan import ReplayPlan, committed_in, refuse_other_detector
from worker.replay.progress import Progress
from worker.replay.repeated_look import RepeatedLook
from worker.replay.watch import WATCH_INTERVAL_S, Watch
from worker.settings import Settings

if TYPE_CHECKING:  # it brings TensorFlow, which whoever judges has loaded
    from worker.pipeline import Pipeline


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
    health: HealthState | None = None,
) -> Ending:
    """Work until every range of the plan is committed, whoever judged it, or until SIGTERM or SIGINT.

    Any number of processes may work on a plan; the consumer group gives each its partitions.

    Args:
        settings: of the live worker; the plan decides what differs.
        plan: what to do.
        pipeline: judges; the one that was planned.
        restraint: what keeps it behind live work.
        report: told about once a second, on a thread of its own.
        health: what the probes report, if somebody serves them.

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
            live_lag = LiveLag(live.lag, restraint.hold_above_lag)
            stack.enter_context(RepeatedLook(live_lag.look, LIVE_LAG_INTERVAL_S, "live-lag"))
        offsets = stack.enter_context(GroupOffsets(own, own.kafka_group_id, topic))
        consumption = _build(own, plan, pipeline, Pace(restraint.per_second), live_lag, health or HealthState())

        def committed() -> int:
            return committed_in(plan, offsets.committed(sorted(plan.ranges)))

        def tell(progress: Progress) -> None:
            REPLAY_OFFSETS_PLANNED.labels(plan.replay_id).set(progress.total)
            REPLAY_OFFSETS_DONE.labels(plan.replay_id).set(progress.done)
            report(progress, live_lag.held_because if live_lag else None)

        watch = Watch(plan.offsets, committed, on_done=consumption.stop, report=tell)
        with RepeatedLook(watch.look, WATCH_INTERVAL_S, "replay-watch"):
            arrived = consumption.run()
        progress = watch.measure()
    return Ending(progress, arrived[0] if arrived and not progress.is_complete else None)


def _build(
    settings: Settings,
    plan: ReplayPlan,
    pipeline: "Pipeline",
    pace: Pace,
    live_lag: LiveLag | None,
    health: HealthState,
) -> Consumption:
    """Put the worker's parts over a consumer that ends.

    Args:
        settings: with the plan's group and topics.
        plan: what to read.
        pipeline: judges.
        pace: how fast.
        live_lag: what holds it, if anything.
        health: what the probes report.
    """
    topic = plan.request.topic
    consumer: BoundedConsumer = make_client(
        lambda config: BoundedConsumer(config, topic, plan.ranges),
        ClientConfig({**consumer_config(settings), "enable.partition.eof": True}),
    )

    def takes(delivery: Delivery) -> bool:
        is_meant = plan.request.selection.takes(delivery)
        if not is_meant:
            pace.give_back()
        return is_meant

    def on_poll() -> None:
        for partition, last in consumer.newly_ended():  # no event stands there, so no outcome would commit it
            if consumption.pass_over(Coordinates(topic, partition, last)):
                pace.give_back()
        if consumption.stopped_by is not None:
            consumption.stop()  # nobody waits at a probe here: it ends with the brake's error

    consumption = Consumption(
        settings,
        pipeline,
        consumer,
        PacedBudget(
            settings.max_in_flight_deliveries,
            settings.max_in_flight_bytes,
            delivery_bytes(settings),
            pace=pace,
            is_held=lambda: live_lag is not None and live_lag.held_because is not None,
        ),
        health=health,
        on_poll=on_poll,
        takes=takes,
        replay_id=plan.replay_id,
    )
    return consumption
