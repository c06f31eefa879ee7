"""`lossgate submit`: publish delivery events."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.exit_codes import ExitCode
from worker.cli.files import find_audio, is_uri
from worker.cli.json_lines import to_line
from worker.cli.terminal import complain
from worker.exceptions import BadEventError, LossgateError
from worker.logs import printable
from worker.records import Delivery
from worker.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_REPORT_DEADLINE_S = 30.0  # time the brokers have to confirm the last events
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event: where it stands, or why it was not taken."""

    delivery: Delivery
    topic: str
    partition: int | None = None
    offset: int | None = None
    error: str | None = None


def submit(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URI",
            help="Files, folders (their `.flac` and `.wav` files), or `s3://`, `http(s)://` and `file:///` URIs.",
            show_default=False,
        ),
    ],
    provider: Annotated[str, typer.Option(help="Who delivered it.")] = "lossgate-submit",
    label: Annotated[str | None, typer.Option(help="Label named on the delivery.")] = None,
    track_id: Annotated[str | None, typer.Option(help="Track identity in the catalogue.")] = None,
    isrc: Annotated[str | None, typer.Option(help="International Standard Recording Code.")] = None,
    delivery_id: Annotated[
        str | None,
        typer.Option(
            help="Identity of the delivery; only with a single target. By default made from its name and URI."
        ),
    ] = None,
    expected_sha256: Annotated[
        str | None, typer.Option(help="SHA-256 the object must have; only with a single target.")
    ] = None,
    compute_hash: Annotated[
        bool, typer.Option("--hash", help="Compute the expected SHA-256 of local files and send it along.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Publish a delivery event for each file or URI, and wait until Kafka has taken it.

    Local paths are sent as absolute paths: the worker must see the same files under the same names.
    Each line printed is one event: delivery id, event id, `topic[partition]@offset`, URI.

    Exit codes:

    * 0: all taken
    * 2: wrong arguments or settings; nothing was sent
    * 4: at least one not taken
    """
    audio_uris = list(_audio_uris(targets))
    if len(audio_uris) > 1 and (delivery_id or expected_sha256):
        raise typer.BadParameter(
            f"--delivery-id and --expected-sha256 need a single target, here are {len(audio_uris)}."
        )
    if expected_sha256 is not None and not _SHA256.fullmatch(expected_sha256.lower()):
        raise typer.BadParameter("--expected-sha256 must be 64 hexadecimal digits.")
    if compute_hash and (uris := [uri for uri in audio_uris if is_uri(uri)]):
        raise typer.BadParameter(f"--hash reads local files only, not {printable(uris[0])}.")
    settings = load_settings()
    configure_quiet_logging(settings)

    deliveries = [
        make_delivery(
            audio_uri,
            provider=provider,
            label=label,
            track_id=track_id,
            isrc=isrc,
            delivery_id=delivery_id,
            expected_sha256=_file_sha256(audio_uri) if compute_hash else expected_sha256 and expected_sha256.lower(),
        )
        for audio_uri in audio_uris
    ]
    _refuse_what_no_worker_would_take(deliveries)
    failed = 0
    for receipt in publish(deliveries, settings):
        if receipt.error is not None:
            failed += 1
            complain(f"{receipt.delivery.delivery_id} was not taken: {receipt.error}")
        print(to_line(_receipt_object(receipt)) if json_lines else _receipt_line(receipt), flush=True)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def make_delivery(
    audio_uri: str,
    *,
    provider: str,
    delivery_id: str | None = None,
    label: str | None = None,
    track_id: str | None = None,
    isrc: str | None = None,
    expected_sha256: str | None = None,
) -> Delivery:
    """Make the event of one object that arrives now."""
    return Delivery(
        event_id=uuid4(),
        delivery_id=delivery_id or default_delivery_id(audio_uri),
        audio_uri=audio_uri,
        provider=provider,
        delivered_at=datetime.now(UTC),
        label=label,
        track_id=track_id,
        isrc=isrc,
        expected_sha256=expected_sha256,
    )


def default_delivery_id(audio_uri: str) -> str:
    """Name a delivery by its file and a digest of its URI: readable, and the same each time."""
    stem = Path(audio_uri.split("?", maxsplit=1)[0]).stem
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-")[:80] or "audio"
    return f"{readable}-{hashlib.sha256(audio_uri.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def publish(deliveries: Iterable[Delivery], settings: Settings) -> Iterator[Receipt]:
    """Publish events; yields a receipt for each as the brokers confirm it."""
    from worker.cli.topics import partitions_of  # noqa: PLC0415
    from worker.kafka.client_config import ClientConfig, make_producer, plain_producer_config  # noqa: PLC0415
    from worker.kafka.wire import Wire  # noqa: PLC0415 -- only the commands that talk to Kafka load its client

    topic = settings.deliveries_topic
    wire = Wire(settings)
    timeout = {"message.timeout.ms": int(_REPORT_DEADLINE_S * 1000)}
    producer = make_producer(ClientConfig({**plain_producer_config(settings), **timeout}))
    partitions_of(producer, topic, "LOSSGATE_DELIVERIES_TOPIC", settings)
    receipts: list[Receipt] = []

    def note(delivery: Delivery, error: "KafkaError | None", message: "Message") -> None:
        if error is None:
            receipts.append(Receipt(delivery, topic, message.partition(), message.offset()))
        else:
            receipts.append(Receipt(delivery, topic, error=error.str()))

    for delivery in deliveries:
        value = wire.encode_delivery(delivery)
        while True:
            try:
                producer.produce(
                    topic, key=delivery.delivery_id.encode(), value=value, on_delivery=partial(note, delivery)
                )
                break
            except BufferError:  # the queue is full
                producer.poll(0.1)
        producer.poll(0)
        yield from _taken(receipts)
    # Every event ends in a report, at the latest by its own timeout.
    while producer.flush(0.2):
        yield from _taken(receipts)
    yield from _taken(receipts)


def _taken(receipts: list[Receipt]) -> Sequence[Receipt]:
    taken = receipts[:]
    receipts.clear()
    return taken


def _audio_uris(targets: Iterable[str]) -> Iterator[str]:
    for target in targets:
        if is_uri(target):
            yield target
            continue
        if not Path(target).exists():
            raise typer.BadParameter(
                f"{printable(target)} is not here. What only the worker can see is given as a URI: file:///…, s3://…"
            )
        for file in find_audio([target]):
            if file.problem is not None:
                raise typer.BadParameter(f"{printable(file.path)}: {file.problem.detail}")
            yield file.absolute


def _refuse_what_no_worker_would_take(deliveries: Iterable[Delivery]) -> None:
    from worker.kafka.avro_records import check_delivery  # noqa: PLC0415 -- the rules of the events

    for delivery in deliveries:
        try:
            delivery.audio_uri.encode("utf-8")
            check_delivery(delivery)
        except UnicodeEncodeError:
            raise typer.BadParameter(
                f"{printable(delivery.audio_uri)}: the name is not UTF-8, no event can carry it."
            ) from None
        except BadEventError as error:
            raise typer.BadParameter(f"{printable(delivery.audio_uri)}: {error}") from None


def _file_sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LossgateError(f"{path} can't be read for its hash: {error.strerror}.") from error


def _receipt_object(receipt: Receipt) -> dict[str, Any]:
    return {
        "delivery_id": receipt.delivery.delivery_id,
        "event_id": str(receipt.delivery.event_id),
        "audio_uri": receipt.delivery.audio_uri,
        "topic": receipt.topic,
        "partition": receipt.partition,
        "offset": receipt.offset,
        "error": receipt.error,
    }


def _receipt_line(receipt: Receipt) -> str:
    delivery = receipt.delivery
    where = "not taken" if receipt.error else f"{receipt.topic}[{receipt.partition}]@{receipt.offset}"
    return "  ".join((printable(delivery.delivery_id), str(delivery.event_id), where, printable(delivery.audio_uri)))
