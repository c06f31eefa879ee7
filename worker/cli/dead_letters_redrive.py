"""`lossgate dead-letters redrive`: send events that could not be read again, once the cause is mended."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from worker.cli.dead_letter_choice import Choice
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
from worker.cli.exit_codes import ExitCode
from worker.cli.json_lines import to_line
from worker.cli.redrive_plan import Fate, Planned, plan
from worker.cli.terminal import complain
from worker.kafka.redrive import letter_of, make_redrive
from worker.logs import printable

if TYPE_CHECKING:
    from worker.cli.dead_letter_reader import DeadLetterReader
    from worker.cli.topic_reader import TopicReader
    from worker.kafka.redriver import Redriver

_BATCH = 100  # events in one transaction; at their largest they stay far below the client's queue
_CLOCKS_DIFFER = timedelta(hours=1)  # between worker, broker and this machine, at most


def redrive(
    letters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID|TOPIC/PARTITION/OFFSET]...",
            help="Dead letters by their id, by where their event stands, or by where they stand themselves.",
            show_default=False,
        ),
    ] = None,
    *,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    source_topic: SourceTopic = None,
    source_partition: SourcePartition = None,
    source_offsets: SourceOffsets = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them; needed where nothing else chooses.")] = False,
    limit: Limit = None,
    to: Annotated[str | None, typer.Option(help="Another topic than the one the event came from.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were sent again before; does not look whether they were.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask. Needed where this is no terminal.")] = False,
    json_lines: AsJson = False,
) -> None:
    """Send the events of chosen dead letters again: key, value and headers as they were, in Kafka transactions.

    Each carries the header `lossgate-redrive-of` with its dead letter's id, and `lossgate-redrives` with a count.
    The dead letters stay where they are.
    A letter whose id stands in a header of the target topic was sent before and is left out, unless `--again`.

    Exit codes:

    * 0: done; the last line says how many were sent, and why the others were not
    * 2: wrong arguments or settings, or not confirmed; nothing was sent
    * 4: Kafka could not be read or written; what was sent until then stands in the lines printed
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    choice = choice_of(
        letters or [], reason, since, until, source_topic, source_partition, source_offsets, settings.dead_letters_topic
    )
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not json_lines
    _refuse(choice, everything=everything, may_send=dry_run or yes or is_terminal)
    from worker.cli.dead_letter_reader import DeadLetterReader  # noqa: PLC0415 -- loads Kafka's client
    from worker.cli.topic_reader import TopicReader  # noqa: PLC0415 -- the same
    from worker.kafka.redriver import Redriver  # noqa: PLC0415 -- the same
    from worker.kafka.wire import Wire  # noqa: PLC0415 -- the same

    target_topic, variable = to or settings.deliveries_topic, "--to" if to else "LOSSGATE_DELIVERIES_TOPIC"
    with (
        DeadLetterReader(settings, Wire(settings)) as reader,
        TopicReader(settings, target_topic, variable) as target,
    ):
        # First of all: from here on no other redrive of these letters can commit, so what is found below stays true.
        redriver = None if dry_run else Redriver(settings)
        sent_before = set() if again else _sent_before(reader, choice, target)

        def planned() -> Iterator[Planned]:
            return plan(
                reader.letters(choice),
                sent_before=sent_before,
                limit=limit,
                deliveries_topic=settings.deliveries_topic,
                to=to,
            )

        if redriver is not None and not yes:
            count = sum(each.fate is Fate.SEND for each in planned())
            if not typer.confirm(f"Send {count} events to {target_topic}?", err=True):
                complain("Nothing was sent.")
                raise typer.Exit(ExitCode.USAGE)
        counts = _carry_out(planned(), redriver, target.partitions, to, _Printer(json_lines, dry_run, target_topic))
    _print_summary(counts, dry_run=dry_run, json_lines=json_lines)


def _refuse(choice: Choice, *, everything: bool, may_send: bool) -> None:
    if choice.takes_all and not everything:
        raise typer.BadParameter("name dead letters, choose some with the options, or say --all.")
    if everything and not choice.takes_all:
        raise typer.BadParameter("--all excludes every other choice.")
    if not may_send:
        raise typer.BadParameter("nobody can be asked here; say --yes to send, or --dry-run to see what would be sent.")


def _sent_before(reader: "DeadLetterReader", choice: Choice, target: "TopicReader") -> set[UUID]:
    """Return the ids of dead letters found in headers of the target, from the time of the oldest chosen one."""
    oldest: datetime | None = min((each.letter.failed_at for each in reader.letters(choice)), default=None)
    if oldest is None:
        return set()
    target.start(target.offsets_at(int((oldest - _CLOCKS_DIFFER).timestamp() * 1000)))
    return {found for message in target.rest() if (found := letter_of(tuple(message.headers() or ()))) is not None}


def _carry_out(
    planned: Iterator[Planned], redriver: "Redriver | None", partitions: int, to: str | None, printer: "_Printer"
) -> Counter[Fate]:
    counts: Counter[Fate] = Counter()
    batch: list[Planned] = []

    def send() -> None:
        if redriver is not None and batch:
            redriver.send([make_redrive(each.stored.letter, to, partitions) for each in batch])
        for each in batch:
            printer.sent(each)
        counts[Fate.SEND] += len(batch)
        batch.clear()

    for each in planned:
        if each.fate is Fate.SEND:
            batch.append(each)
            if len(batch) == _BATCH:
                send()
        else:
            counts[each.fate] += 1
            printer.left_out(each)
    send()
    return counts


class _Printer:
    """Prints a line for each dead letter; those beyond the limit are only counted."""

    def __init__(self, json_lines: bool, dry_run: bool, target: str) -> None:
        self._json_lines = json_lines
        self._sent = "would send" if dry_run else "sent"
        self._target = target

    def sent(self, planned: Planned) -> None:
        self._print(planned, self._sent, None)

    def left_out(self, planned: Planned) -> None:
        if planned.fate is not Fate.OVER_LIMIT:
            self._print(planned, "left out", planned.fate.value)

    def _print(self, planned: Planned, action: str, why: str | None) -> None:
        letter, source = planned.stored.letter, planned.stored.letter.source
        if self._json_lines:
            values: dict[str, Any] = {
                "dead_letter_id": str(letter.dead_letter_id),
                "action": action.replace(" ", "_"),
                "why": why,
                "reason": letter.reason.value,
                "target": self._target,
            }
            print(to_line(values), flush=True)
            return
        place = f"{source.topic}/{source.partition}/{source.offset}"
        words = (action, str(letter.dead_letter_id), letter.reason.value, printable(place), *([why] if why else ()))
        print("  ".join(words), flush=True)


def _print_summary(counts: Counter[Fate], *, dry_run: bool, json_lines: bool) -> None:
    left_out = "; ".join(
        f"{counts[fate]} left out: {fate.value}" for fate in Fate if fate in counts and fate != Fate.SEND
    )
    summary = f"{'would send' if dry_run else 'sent'} {counts[Fate.SEND]} events" + (
        f"; {left_out}" if left_out else ""
    )
    print(summary, file=sys.stderr if json_lines else sys.stdout)
