"""The commands put together, and what every command does with errors."""

import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from worker import __version__
from worker.cli.check import check
from worker.cli.dead_letters import dead_letters
from worker.cli.exit_codes import ExitCode
from worker.cli.replay import replay
from worker.cli.run import run
from worker.cli.schemas import schemas
from worker.cli.submit import submit
from worker.cli.terminal import complain
from worker.cli.topics_create import topics
from worker.cli.verdicts import verdicts
from worker.exceptions import LossgateError, SettingsError


class _Terminated(BaseException):
    """SIGTERM arrived; what is open is closed on the way out."""


class _Group(TyperGroup):
    """Turns what ends a command early into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            before = signal.signal(signal.SIGTERM, _terminate)
            try:
                result = super().invoke(ctx)
                sys.stdout.flush()
            finally:
                signal.signal(signal.SIGTERM, before)
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except _Terminated:
            raise typer.Exit(ExitCode.TERMINATED) from None
        except BrokenPipeError:
            # What is still buffered has nowhere to go; without this Python would complain at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.STDOUT_CLOSED) from None
        except SettingsError as error:
            complain(str(error))
            raise typer.Exit(ExitCode.USAGE) from None
        except LossgateError as error:
            complain(str(error))
            raise typer.Exit(ExitCode.FAILED) from None
        return result


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lossgate {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from `LOSSGATE_…` environment variables and from `.env`; the README lists them all.",
)


@app.callback()
def _lossgate(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Tell whether audio delivered as lossless was once MP3, AAC, Vorbis, Opus, AC-3 or WMA."""


app.command()(run)
app.command()(check)
app.command()(submit)
app.command()(verdicts)
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(topics, name="topics")
app.add_typer(schemas, name="schemas")
app.add_typer(replay, name="replay")
