"""`lossgate dead-letters list`: what could not be read, one line each, and a count by reason."""

import sys
from collections import Counter

from rich.text import Text

from worker.cli.dead_letter_choice import StoredLetter
from worker.cli.dead_letter_options import (
    AsJson,
    Limit,
    Reasons,
    Since,
    SourceOffsets,
    SourcePartition,
    SourceTopic,
    Until,
    choice_of,
)
from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.json_lines import dead_letter_object, to_line
from worker.cli.terminal import complain, output
from worker.kafka.redrive import redrives_of
from worker.logs import printable
from worker.records import DeadLetterReason

_COLUMNS = ("given up at (UTC)", "reason", "dead letter", "event", "again", "detail")
_WIDTHS = (19, 16, 36, 32, 5, 0)


def list_dead_letters(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    source_topic: SourceTopic = None,
    source_partition: SourcePartition = None,
    source_offsets: SourceOffsets = None,
    limit: Limit = None,
    json_lines: AsJson = False,
) -> None:
    """List the dead letters, oldest first in each partition, and count them by reason.

    Reads the topic to the end it has now and stops; `--limit` shows the first ones and counts all.
    `again` is how often the event had been sent again before it ended here.
    With `--json` the count goes to stderr.

    Exit codes:

    * 0: read to the end
    * 2: wrong arguments or settings
    * 4: Kafka could not be read
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    choice = choice_of(
        [], reason, since, until, source_topic, source_partition, source_offsets, settings.dead_letters_topic
    )
    from worker.cli.dead_letter_reader import DeadLetterReader  # noqa: PLC0415 -- loads Kafka's client
    from worker.kafka.wire import Wire  # noqa: PLC0415 -- the same

    counts: Counter[DeadLetterReason] = Counter()
    console = None if json_lines else output()
    with DeadLetterReader(settings, Wire(settings)) as reader:
        if console is not None and sys.stdout.isatty():
            console.print(Text(_row(_COLUMNS), style="dim"), soft_wrap=True)
        for stored in reader.letters(choice):
            counts[stored.letter.reason] += 1
            if limit is not None and counts.total() > limit:
                continue
            if console is None:
                print(to_line(dead_letter_object(stored)), flush=True)
            else:
                console.print(Text(_row(_cells(stored))), soft_wrap=True)
    words = ", ".join(f"{count} {reason.value}" for reason, count in counts.most_common())
    summary = f"{counts.total()} dead letters" + (f": {words}" if words else "")
    print(summary, file=sys.stderr if json_lines else sys.stdout)
    if reader.unreadable:
        complain(
            f"{reader.unreadable} records of {settings.dead_letters_topic} are no dead letters and were passed over."
        )


def _cells(stored: StoredLetter) -> tuple[str, ...]:
    letter, source = stored.letter, stored.letter.source
    return (
        letter.failed_at.strftime("%Y-%m-%d %H:%M:%S"),
        letter.reason.value,
        str(letter.dead_letter_id),
        f"{source.topic}/{source.partition}/{source.offset}",
        str(redrives_of(letter.headers) or "-"),
        letter.detail,
    )


def _row(cells: tuple[str, ...]) -> str:
    return "  ".join(printable(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
