"""The options with which `dead-letters list` and `redrive` choose, and what they mean together."""

from datetime import datetime
from typing import Annotated

import typer

from worker.cli.dead_letter_choice import Choice, named, offset_range
from worker.cli.time_options import FORMATS, HELP, in_utc
from worker.records import DeadLetterReason

Reasons = Annotated[
    list[DeadLetterReason] | None,
    typer.Option("--reason", case_sensitive=False, help="Given up for this reason; may be given often."),
]
Since = Annotated[datetime | None, typer.Option(formats=FORMATS, help=f"Given up then or later{HELP}")]
Until = Annotated[datetime | None, typer.Option(formats=FORMATS, help="Given up before; as `--since`.")]
SourceTopic = Annotated[str | None, typer.Option(help="The event stands in this topic.")]
SourcePartition = Annotated[int | None, typer.Option(min=0, help="The event stands in this partition.")]
SourceOffsets = Annotated[
    str | None, typer.Option(metavar="FIRST-LAST", help="The event stands between these offsets, both included.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="So many at most.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]


def choice_of(
    references: list[str],
    reasons: list[DeadLetterReason] | None,
    since: datetime | None,
    until: datetime | None,
    source_topic: str | None,
    source_partition: int | None,
    source_offsets: str | None,
    dead_letters_topic: str,
) -> Choice:
    """Put what the options say into one choice.

    Raises:
        SettingsError: a reference or a range can't be understood.
    """
    ids, places = named(references, dead_letters_topic)
    return Choice(
        ids=ids,
        places=places,
        reasons=frozenset(reasons or ()),
        since=in_utc(since),
        until=in_utc(until),
        source_topic=source_topic,
        source_partition=source_partition,
        source_offsets=None if source_offsets is None else offset_range(source_offsets),
    )
