"""`lossgate dead-letters show`: everything about one of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.dead_letter_choice import Choice, StoredLetter, named
from worker.cli.dead_letter_options import AsJson
from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.json_lines import delivery_object, to_line, whole_dead_letter_object
from worker.cli.raw_bytes import shown
from worker.exceptions import BadEventError, LossgateError, TransientError
from worker.kafka.redrive import letter_of, redrives_of
from worker.logs import printable
from worker.records import Coordinates, Delivery

if TYPE_CHECKING:
    from worker.kafka.wire import Wire

_SHOWN_BYTES = 1024
_SHOWN_HEADER_BYTES = 128
_NAME_WIDTH = 14


def show(
    letter: Annotated[
        str,
        typer.Argument(
            metavar="ID|TOPIC/PARTITION/OFFSET",
            help="The dead letter's id, where its event stands, or where it stands itself.",
            show_default=False,
        ),
    ],
    full: Annotated[bool, typer.Option("--full", help="Print all bytes of the value, however many.")] = False,
    json_lines: AsJson = False,
) -> None:
    """Show one dead letter with the bytes of its event, and whether the event could be read today.

    Bytes are printed as escaped text or as a hex dump, never raw; `--json` has them in Base64.

    Exit codes:

    * 0: shown
    * 2: wrong arguments or settings
    * 4: there is no such dead letter, or Kafka could not be read
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    ids, places = named([letter], settings.dead_letters_topic)
    from worker.cli.dead_letter_reader import DeadLetterReader  # noqa: PLC0415 -- loads Kafka's client
    from worker.kafka.wire import Wire  # noqa: PLC0415 -- the same

    wire = Wire(settings)
    found = 0
    with DeadLetterReader(settings, wire) as reader:
        for stored in reader.letters(Choice(ids=ids, places=places)):
            found += 1
            event, problem = _read_today(stored, wire)
            if json_lines:
                print(to_line(whole_dead_letter_object(stored, event, problem)), flush=True)
            else:
                most = len(stored.letter.value or b"") if full else _SHOWN_BYTES
                print(*_lines(stored, event, problem, most, settings.dead_letters_topic), sep="\n", flush=True)
    if not found:
        raise LossgateError(f"{settings.dead_letters_topic} holds no dead letter {letter}.")


def _read_today(stored: StoredLetter, wire: "Wire") -> tuple[Delivery | None, str | None]:
    """Read the event with the current schemas: the delivery, or why not."""
    if stored.letter.value is None:
        return None, "the letter carries no value"
    try:
        return wire.decode_delivery(stored.letter.value), None
    except (BadEventError, TransientError) as error:
        return None, str(error)


def _lines(stored: StoredLetter, event: Delivery | None, problem: str | None, most: int, topic: str) -> Iterator[str]:
    letter = stored.letter
    yield from _field("dead letter", str(letter.dead_letter_id))
    yield from _field("stands at", f"{topic}/{stored.partition}/{stored.offset}")
    yield from _field(
        "given up at", f"{letter.failed_at.isoformat(' ', 'seconds')} by Lossgate {letter.worker_version}"
    )
    yield from _field("reason", letter.reason.value)
    yield from _field("detail", letter.detail)
    yield from _field("event", _place(letter.source))
    if redrives := redrives_of(letter.headers):
        yield from _field("sent again", f"{redrives} times before, last as dead letter {letter_of(letter.headers)}")
    yield from _raw("key", letter.key, _SHOWN_HEADER_BYTES)
    for name, value in letter.headers:
        yield from _raw("header", value, _SHOWN_HEADER_BYTES, f"{printable(name)}: ")
    yield from _raw("value", letter.value, most)
    if event is None:
        yield from _field("read today", f"no: {problem}")
        return
    yield from _field("read today", "yes, as")
    for name, value in delivery_object(event).items():
        if value is not None:
            yield f"{'':{_NAME_WIDTH}}{name} {printable(value, limit=10_000)}"


def _place(source: Coordinates) -> str:
    written = "" if source.timestamp is None else f", written {source.timestamp.isoformat(' ', 'seconds')}"
    return f"{source.topic}/{source.partition}/{source.offset}{written}"


def _field(name: str, text: str) -> Iterator[str]:
    yield f"{name:{_NAME_WIDTH}}{printable(text, limit=10_000)}"


def _raw(name: str, raw: bytes | None, most: int, before: str = "") -> Iterator[str]:
    size = "none" if raw is None else f"{len(raw)} bytes"
    yield f"{name:{_NAME_WIDTH}}{before}{size}"
    if raw:
        yield from (f"{'':{_NAME_WIDTH}}{line}" for line in shown(raw, most))
