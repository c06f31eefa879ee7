"""What the commands share on the terminal: consoles, one-line complaints, the words' colours."""

import os
import sys

from rich.console import Console
from rich.text import Text

from worker.logs import printable, redact

_WIDTH_OF_FILES = 200  # columns, where the output is no terminal
_STYLES = {"accept": "green", "reject": "bold red", "review": "yellow"}


def output() -> Console:
    """Return the console of the results: stdout."""
    return Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else _WIDTH_OF_FILES,
        markup=False,
        highlight=False,
        emoji=False,
    )


def messages() -> Console:
    """Return the console of everything else: stderr."""
    return Console(file=sys.stderr, markup=False, highlight=False, emoji=False)


def complain(text: str) -> None:
    """Print one plain line on stderr."""
    print("lossgate:", "\n".join(printable(redact(line)) for line in text.splitlines()), file=sys.stderr)


def decision_text(decision: str) -> Text:
    """Colour a decision by what it means."""
    return Text(decision, style=_STYLES.get(decision, ""))


def probability_text(probability: float | None) -> str:
    """Three digits, without rounding a doubt away; a dash where nothing was scored."""
    if probability is None:
        return "-"
    # 0.9996 must not read as certainty.
    return f"{min(max(probability, 0.001), 0.999):.3f}" if 0 < probability < 1 else f"{probability:.3f}"


def path_text(path: str | os.PathLike[str]) -> str:
    """Make a file name safe to print; names may hold anything but a slash and a zero byte."""
    return printable(os.fspath(path))
