"""`lossgate replay status`: how far replays have come."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.json_lines import to_line
from worker.exceptions import LossgateError
from worker.replay.progress import Progress
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.replay.plan import ReplayPlan


def status(
    replay_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One replay only.", show_default=False)
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Say how far each replay has come: offsets committed of those planned.

    Reading joins no consumer group and disturbs no process.

    Exit codes:

    * 0: said
    * 2: wrong arguments or settings
    * 4: there is no such replay, or Kafka could not be read
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    from worker.cli.replay_plans import all_plans  # noqa: PLC0415 -- loads Kafka's client

    plans = [each for each in all_plans(settings) if replay_id in {None, each.replay_id}]
    if replay_id is not None and not plans:
        raise LossgateError(f"{settings.replays_topic} holds no plan of {replay_id}.")
    for plan in plans:
        progress = _progress(settings, plan)
        if json_lines:
            print(to_line(_object(plan, progress)), flush=True)
        else:
            detector = plan.request.detector
            by = f"{detector.model_name} {detector.model_version}, policy {detector.policy_version}"
            print(f"{plan.replay_id}  planned {plan.created_at:%Y-%m-%d %H:%M}  {by}  {progress.words()}", flush=True)


def _progress(settings: Settings, plan: "ReplayPlan") -> Progress:
    from worker.replay.group_offsets import GroupOffsets  # noqa: PLC0415 -- loads Kafka's client
    from worker.replay.plan import committed_in  # noqa: PLC0415 -- goes with it

    with GroupOffsets(settings, plan.group_id(settings), plan.request.topic) as offsets:
        return Progress(committed_in(plan, offsets.committed(sorted(plan.ranges))), plan.offsets)


def _object(plan: "ReplayPlan", progress: Progress) -> dict[str, Any]:
    detector = plan.request.detector
    return {
        "replay_id": plan.replay_id,
        "created_at": plan.created_at.isoformat(),
        "topic": plan.request.topic,
        "ranges": {str(number): [each.start, each.end] for number, each in sorted(plan.ranges.items())},
        "done": progress.done,
        "total": progress.total,
        "is_complete": progress.is_complete,
        "to_live_topic": plan.request.to_live_topic,
        "model": {"name": detector.model_name, "version": detector.model_version, "sha256": detector.model_sha256},
        "policy": detector.policy_version,
    }
