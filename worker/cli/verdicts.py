"""`lossgate verdicts`: read the results topic."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.json_lines import to_line, verdict_object
from worker.cli.terminal import complain, decision_text, output, probability_text
from worker.logs import printable
from worker.records import Verdict

if TYPE_CHECKING:
    from worker.cli.verdict_reader import VerdictReader

_COLUMNS = ("judged at (UTC)", "decision", "prob.", "codec", "reason", "delivery", "audio")
_WIDTHS = (19, 8, 5, 13, 16, 32, 0)


def verdicts(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new verdicts as they come.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="How many verdicts to begin with.")] = 20,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the first verdict of the topic, whatever --last says.")
    ] = False,
) -> None:
    """Read the verdicts: the last ones, all of them, or as they come.

    Only committed verdicts are shown.
    Reading joins no consumer group and disturbs no worker.

    Exit codes:

    * 0: read to the end
    * 2: wrong arguments or settings
    * 4: Kafka could not be read
    * 130: ended by Ctrl-C
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    from worker.cli.verdict_reader import VerdictReader  # noqa: PLC0415 -- loads Kafka's client

    with VerdictReader(settings) as reader:
        console = None if json_lines else output()
        if console is not None and sys.stdout.isatty():
            console.print(Text(_row(_COLUMNS), style="dim"), soft_wrap=True)
        for verdict in _read(reader, last=None if from_beginning else last, follow=follow):
            if console is None:
                print(to_line(verdict_object(verdict)), flush=True)
            else:
                _print_row(console, verdict)
        if reader.unreadable:
            complain(f"{reader.unreadable} records of {settings.verdicts_topic} are no verdicts and were passed over.")


def _read(reader: "VerdictReader", *, last: int | None, follow: bool) -> Iterator[Verdict]:
    if last is None:
        reader.start_at_beginning()
        yield from (verdict for _partition, verdict in reader.rest())
    else:
        yield from reader.last(last)
    while follow:
        if (found := reader.poll()) is not None:
            yield found[1]


def _print_row(console: Console, verdict: Verdict) -> None:
    judgement = verdict.judgement
    decision = judgement.decision.value.lower()
    row = Text(
        _row(
            (
                verdict.judged_at.strftime("%Y-%m-%d %H:%M:%S"),
                decision,
                probability_text(judgement.probability),
                " ".join(part for part in (judgement.codec, judgement.bitrate_class) if part) or "-",
                judgement.reason.value,
                verdict.delivery.delivery_id,
                verdict.delivery.audio_uri,
            )
        )
    )
    start = _WIDTHS[0] + 2
    row.stylize(decision_text(decision).style, start, start + len(decision))
    console.print(row, soft_wrap=True)
    console.file.flush()


def _row(cells: tuple[str, ...]) -> str:
    return "  ".join(printable(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
