"""`lossgate replay run`: work on a replay until it is done."""

import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.exit_codes import ExitCode
from worker.cli.replay_options import (
    Deliveries,
    DeliveriesFrom,
    Everything,
    ModelDir,
    Offsets,
    PolicyPath,
    Providers,
    ReplayId,
    Since,
    ToLiveTopic,
    Topic,
    Until,
    asked_for,
    with_detector,
)
from worker.cli.replay_reporter import Reporter
from worker.cli.run import require_allowed_prefixes
from worker.exceptions import LossgateError, SettingsError
from worker.replay.plan import check_replay_id, may_be_forgotten, refuse_shared_topics
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.replay.plan import ReplayPlan


def run(
    replay_id: ReplayId,
    *,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    offsets: Offsets = None,
    provider: Providers = None,
    delivery: Deliveries = None,
    deliveries_from: DeliveriesFrom = None,
    everything: Everything = False,
    model: ModelDir = None,
    policy: PolicyPath = None,
    to_live_topic: ToLiveTopic = False,
    per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Deliveries a second of this process, at most.")
    ] = None,
    pause_above_lag: Annotated[
        int | None, typer.Option(min=0, help="Wait while the live group's lag is above this, events.")
    ] = None,
    nice: Annotated[
        int, typer.Option(min=0, max=19, help="Step down in the machine's priority; 0: as the live worker.")
    ] = 10,
) -> None:
    """Work on a replay: alone or as one of several processes, until all of it is judged.

    Without options that choose events it follows the plan of that id; with them it makes the plan where there is none,
    and refuses where there is another.
    SIGTERM and Ctrl-C finish what is in flight; started again it goes on behind the last committed event.
    How far the whole replay has come, and the time it will take, is told on stderr;
    with LOSSGATE_REPLAY_HEALTH_PORT set also at /metrics, beside the probes.

    Exit codes:

    * 0: the whole replay is done, whoever judged it
    * 2: wrong arguments or settings, or not what was planned
    * 4: a fault that needs another try
    * 130: stopped by Ctrl-C before it was done
    * 143: stopped by SIGTERM before it was done
    """
    settings = with_detector(load_settings(), model, policy)
    configure_quiet_logging(settings)
    check_replay_id(replay_id)
    require_allowed_prefixes(settings)
    asked = asked_for(
        topic,
        since,
        until,
        offsets,
        provider,
        delivery,
        deliveries_from,
        everything=everything,
        to_live_topic=to_live_topic,
    )
    refuse_shared_topics(settings, asked.topic or settings.deliveries_topic)
    os.nice(nice)
    from worker.cli.replay_plans import check_range, find_plan, join_plan  # noqa: PLC0415 -- loads Kafka's client

    plan = find_plan(settings, replay_id)
    if plan is None and asked.is_nothing:
        raise SettingsError(
            f"There is no plan of {replay_id} in {settings.replays_topic}. Make one with `lossgate replay plan`, "
            "or say here what is to be judged."
        )
    if plan is not None:
        check_range(settings, plan)
        _refuse_forgotten(settings, plan)
        settings = plan.with_effort(settings)
    from worker.cli.replay_probes import open_probes  # noqa: PLC0415 -- not for the commands that judge nothing
    from worker.pipeline import open_pipeline  # noqa: PLC0415 -- brings TensorFlow, which takes seconds
    from worker.replay.runner import Restraint, run_replay  # noqa: PLC0415 -- the same
    from worker.trace_export import open_tracing  # noqa: PLC0415 -- as the probes

    with open_probes(settings, replay_id) as health, open_tracing(), open_pipeline(settings) as pipeline:
        if plan is None or not asked.is_nothing:
            plan = join_plan(settings, replay_id, asked.request(settings, pipeline.identity))
        with Reporter(replay_id) as reporter:
            ending = run_replay(
                settings,
                plan,
                pipeline,
                restraint=Restraint(per_second, pause_above_lag),
                report=reporter.note,
                health=health,
            )
            reporter.end(ending.progress)
    if ending.progress.is_complete:
        return
    if ending.stopped_by is None:
        raise LossgateError("The replay ended before it was done; run it again.")
    raise typer.Exit(ExitCode.INTERRUPTED if ending.stopped_by == signal.SIGINT else ExitCode.TERMINATED)


def _refuse_forgotten(settings: Settings, plan: "ReplayPlan") -> None:
    """Refuse to begin an old plan of which no offset is committed: the brokers may have forgotten them."""
    from worker.replay.group_offsets import GroupOffsets  # noqa: PLC0415 -- loads Kafka's client

    with GroupOffsets(settings, plan.group_id(settings), plan.request.topic) as offsets:
        committed = offsets.committed(sorted(plan.ranges))
    if may_be_forgotten(plan, committed, datetime.now(UTC)):
        raise LossgateError(
            f"Replay {plan.replay_id} was planned on {plan.created_at:%Y-%m-%d} and has no committed offset: it never "
            "began, or the brokers have forgotten how far it had come (offsets.retention.minutes) and it would "
            "begin anew. Plan what is left under another id."
        )
