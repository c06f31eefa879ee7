"""`lossgate replay plan`: fix what a replay is, and say how much work that is."""

import os
from typing import Annotated

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
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
from worker.exceptions import SettingsError
from worker.logs import printable
from worker.records import DetectorIdentity
from worker.replay.plan import ReplayPlan, check_replay_id, refuse_shared_topics, to_json
from worker.replay.progress import duration, estimate_s
from worker.settings import Settings


def plan(
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan; it is not kept.")] = False,
    count: Annotated[
        bool, typer.Option("--count/--no-count", help="Read the range to count the deliveries meant.")
    ] = True,
    processes: Annotated[int, typer.Option(min=1, help="For the estimate: processes that will share it.")] = 1,
    seconds_each: Annotated[
        float, typer.Option(min=0.001, help="For the estimate: time one core (or the GPU) takes for a delivery, s.")
    ] = 2.5,
    per_second: Annotated[
        float | None, typer.Option(min=0.001, help="For the estimate: the rate limit each process will have.")
    ] = None,
) -> None:
    """Plan a replay: look up the offsets, fix network and policy, count the deliveries, estimate the time.

    The plan is kept in LOSSGATE_REPLAYS_TOPIC, and every `lossgate replay run` of its id follows it.
    Planned again in the same words it stays as it is.

    Exit codes:

    * 0: planned
    * 2: wrong arguments or settings, nothing lies in the range, or the id is taken by another plan
    * 4: Kafka could not be read or written
    """
    settings = with_detector(load_settings(), model, policy)
    configure_quiet_logging(settings)
    check_replay_id(replay_id)
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
    if asked.is_nothing:
        raise SettingsError("Choose events with the options, or say --all.")
    refuse_shared_topics(settings, asked.topic or settings.deliveries_topic)
    request = asked.request(settings, detector_of(settings))
    from worker.cli.replay_plans import count_events, join_plan, make_plan  # noqa: PLC0415 -- loads Kafka's client

    if dry_run:
        planned = make_plan(settings, replay_id, request)
        to_json(planned)  # it must fit
    else:
        planned = join_plan(settings, replay_id, request)
    _print(planned, settings)
    if count:
        meant, unreadable = count_events(settings, planned)
        print(f"deliveries    {meant:,} to judge" + (f"; {unreadable:,} events can't be read" if unreadable else ""))
    else:
        meant = planned.offsets
    lanes = min(settings.lanes, os.cpu_count() or 1)
    seconds = estimate_s(meant, seconds_each, lanes, processes, per_second)
    limit = "" if per_second is None else f", at most {per_second:g} a second each"
    print(
        f"estimate      {duration(seconds)}: {processes} processes of {lanes} lanes, "
        f"{seconds_each:g} s a delivery{limit}"
    )
    print("not kept (--dry-run)" if dry_run else f"kept in {settings.replays_topic}")


def detector_of(settings: Settings) -> DetectorIdentity:
    """Name network and policy of the settings, without loading the network.

    Raises:
        SettingsError: they can't be read.
    """
    from model.artefact import default_model_dir, default_policy_path, read_identity  # noqa: PLC0415 -- loads Keras
    from model.errors import ArtefactError, PolicyError  # noqa: PLC0415 -- goes with it
    from model.policy import Policy  # noqa: PLC0415 -- the same

    try:
        name, version, sha256 = read_identity(settings.model_dir or default_model_dir())
        policy = Policy.load(settings.policy_path or default_policy_path())
    except (ArtefactError, PolicyError) as error:
        raise SettingsError(str(error)) from error
    return DetectorIdentity(name, version, sha256, policy.version)


def _print(planned: ReplayPlan, settings: Settings) -> None:
    request, selection = planned.request, planned.request.selection
    own = planned.apply_to(settings)
    print(f"replay        {planned.replay_id}")
    print(f"topic         {printable(request.topic)}: {planned.offsets:,} offsets")
    for partition, each in sorted(planned.ranges.items()):
        print(f"              {partition}/{each.start}-{each.end - 1}")
    if selection.providers:
        print(f"providers     {', '.join(printable(each) for each in sorted(selection.providers))}")
    if selection.delivery_ids:
        print(f"delivery ids  {len(selection.delivery_ids):,}")
    detector = request.detector
    print(f"judged by     {detector.model_name} {detector.model_version}, policy {detector.policy_version}")
    live = ", the live topic" if request.to_live_topic else ""
    print(f"verdicts to   {own.verdicts_topic}{live}; dead letters to {own.dead_letters_topic}")
