"""`lossgate replay`: its commands put together."""

import typer

from worker.cli.replay_diff import diff
from worker.cli.replay_plan import plan
from worker.cli.replay_run import run
from worker.cli.replay_status import status

replay = typer.Typer(no_args_is_help=True, help="Judge deliveries once more, apart from live work.")


@replay.callback()
def _replay() -> None:
    """Judge deliveries once more, apart from live work."""


replay.command()(plan)
replay.command()(run)
replay.command()(status)
replay.command()(diff)
