"""`lossgate dead-letters`: its commands put together."""

import typer

from worker.cli.dead_letters_list import list_dead_letters
from worker.cli.dead_letters_redrive import redrive
from worker.cli.dead_letters_show import show

dead_letters = typer.Typer(no_args_is_help=True, help="Look at the events that could not be read, and send them again.")


@dead_letters.callback()
def _dead_letters() -> None:
    """Look at the events that could not be read, and send them again."""


dead_letters.command("list")(list_dead_letters)
dead_letters.command()(show)
dead_letters.command()(redrive)
