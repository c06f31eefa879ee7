"""The wire format: what we write is readable for years, and what strangers write harms nobody."""

import dataclasses
import hashlib
import io
import json
import random
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import httpx
import httpx2
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from hypothesis import given, settings

from schemas import __file__ as schemas_file
from tests.worker.kafka.records_for_tests import (
    DEAD_LETTER,
    DELIVERY,
    VERDICT,
    dead_letters,
    deliveries,
    verdicts,
)
from worker.exceptions import BadEventError, FatalError, SettingsError, TransientError
from worker.kafka import schema_registry, writer_schemas
from worker.kafka.avro_bounds import is_bounded, without_logical_types
from worker.kafka.avro_records import dead_letter_to_avro, verdict_to_avro
from worker.kafka.schema_registry import PublishedSchema, published_schemas
from worker.kafka.wire import Wire
from worker.records import DeadLetter, DeadLetterReason, Decision, Decoder, Delivery, Judgement, Reason, Verdict
from worker.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = Path(schemas_file).parent
WIRE = Wire(Settings(_env_file=None))


def _refusal(value: bytes | None, wire: Wire = WIRE) -> DeadLetterReason:
    with pytest.raises(BadEventError) as caught:
        wire.decode_delivery(value)
    assert caught.value.detail.endswith(".")
    return caught.value.reason


def _raw(values: dict[str, Any]) -> bytes:
    """Bytes of a delivery with any values at all, past the checks of `encode_delivery`."""
    schema = without_logical_types(json.loads((SCHEMAS / "delivery.v1.avsc").read_text()))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), values)
    return struct.pack(">bI", 0, 1) + buffer.getvalue()


RAW_VALUES = {
    "event_id": str(DELIVERY.event_id),
    "delivery_id": "d",
    "audio_uri": "/in/a.flac",
    "provider": "p",
    "delivered_at": 1_790_000_000_000,
    "label": None,
    "track_id": None,
    "isrc": None,
    "expected_sha256": None,
}


QUARANTINED = dataclasses.replace(DEAD_LETTER, reason=DeadLetterReason.QUARANTINED)
READ_BY_US = dataclasses.replace(
    VERDICT,
    judgement=dataclasses.replace(
        VERDICT.judgement, facts=dataclasses.replace(VERDICT.judgement.facts, bit_depth=20, decoder=Decoder.BUILT_IN)
    ),
)
WRITTEN = {
    "delivery.v1": (DELIVERY, WIRE.decode_delivery),
    "verdict.v1": (VERDICT, WIRE.decode_verdict),
    "verdict.v2": (READ_BY_US, WIRE.decode_verdict),
    "dead_letter.v1": (DEAD_LETTER, WIRE.decode_dead_letter),
    "dead_letter.v2": (QUARANTINED, WIRE.decode_dead_letter),
}


@pytest.mark.parametrize("published", published_schemas(), ids=lambda each: f"{each.record}.v{each.version}")
def test_bytes_of_every_version_are_read(published: PublishedSchema) -> None:
    """Bytes once written stay readable; a new schema version adds a golden file, never changes one."""
    name = f"{published.record}.v{published.version}"
    record, decode = WRITTEN[name]
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert golden[:5] == struct.pack(">bI", 0, published.schema_id)
    assert decode(golden) == record


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("delivery", WIRE.encode_delivery),
        ("verdict", WIRE.encode_verdict),
        ("dead_letter", WIRE.encode_dead_letter),
    ],
)
def test_the_newest_version_is_written(name: str, encode: Callable[[Any], bytes]) -> None:
    """What we write stays, byte for byte, that of the newest version."""
    golden = f"{name}.v{schema_registry.newest_schema(name).version}"
    assert encode(WRITTEN[golden][0]) == bytes.fromhex((GOLDEN / f"{golden}.hex").read_text())


@given(deliveries)
def test_delivery_round_trip(delivery: Delivery) -> None:
    """Every valid delivery survives the wire."""
    assert WIRE.decode_delivery(WIRE.encode_delivery(delivery)) == delivery


@given(verdicts)
@settings(max_examples=50)
def test_verdict_round_trip(verdict: Verdict) -> None:
    """Every verdict survives the wire."""
    assert WIRE.decode_verdict(WIRE.encode_verdict(verdict)) == verdict


@given(dead_letters)
@settings(max_examples=50)
def test_dead_letter_round_trip(letter: DeadLetter) -> None:
    """Every dead letter survives the wire, raw bytes included."""
    assert WIRE.decode_dead_letter(WIRE.encode_dead_letter(letter)) == letter


def test_mutated_events_are_deliveries_or_bad_events() -> None:
    """Whatever bits flip, nothing but a checked delivery or BadEventError comes out, and soon."""
    chance = random.Random(20261122)  # noqa: S311 -- seeded, so that a failure can be repeated
    original = WIRE.encode_delivery(DELIVERY)
    outcomes = {"delivery": 0, "bad": 0}
    for _ in range(5_000):
        event = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            kind = chance.random()
            place = chance.randrange(len(event)) if event else 0
            if kind < 0.5 and event:
                event[place] = chance.randrange(256)
            elif kind < 0.7:
                event[place:place] = chance.randbytes(chance.randint(1, 9))
            elif kind < 0.9:
                del event[place : place + chance.randint(1, 9)]
            else:
                event[place:] = chance.randbytes(chance.randint(0, 40))
        try:
            delivery = WIRE.decode_delivery(bytes(event))
        except BadEventError:
            outcomes["bad"] += 1
        else:
            outcomes["delivery"] += 1
            assert WIRE.decode_delivery(WIRE.encode_delivery(delivery)) == delivery
    assert outcomes["delivery"] > 100
    assert outcomes["bad"] > 3_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, DeadLetterReason.NOT_WIRE_FORMAT),
        (b"", DeadLetterReason.NOT_WIRE_FORMAT),
        (b"\x00\x00\x00", DeadLetterReason.NOT_WIRE_FORMAT),
        (b'{"delivery_id": "json"}', DeadLetterReason.NOT_WIRE_FORMAT),
        (b"\x01" + bytes(7), DeadLetterReason.NOT_WIRE_FORMAT),
        (b"\x01" + bytes(range(16)), DeadLetterReason.UNKNOWN_SCHEMA),
        (struct.pack(">bI", 0, 77) + b"x", DeadLetterReason.UNKNOWN_SCHEMA),
        (struct.pack(">bI", 0, 2) + b"x", DeadLetterReason.UNKNOWN_SCHEMA),
        (struct.pack(">bI", 0, 1), DeadLetterReason.UNDECODABLE),
        (struct.pack(">bI", 0, 1) + b"\xff" * 100_000, DeadLetterReason.UNDECODABLE),
        (struct.pack(">bI", 0, 1) + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + b"a", DeadLetterReason.UNDECODABLE),
        (struct.pack(">bI", 0, 1) + b"\x08\xff\xfe\xfd\xfc", DeadLetterReason.UNDECODABLE),
    ],
    ids=[
        "tombstone",
        "empty",
        "short prefix",
        "json",
        "short guid",
        "unknown guid",
        "unknown id",
        "a verdict's id",
        "nothing after the prefix",
        "endless varint",
        "string of exabytes",
        "not UTF-8",
    ],
)
def test_unreadable_bytes(value: bytes | None, reason: DeadLetterReason) -> None:
    """Bytes that are no delivery are refused with the reason that says what they are."""
    assert _refusal(value) == reason


def test_a_verdict_is_no_delivery() -> None:
    """A verdict sent to the deliveries topic by mistake is told apart by its schema."""
    assert _refusal(WIRE.encode_verdict(VERDICT)) == DeadLetterReason.UNKNOWN_SCHEMA


def test_trailing_bytes_are_refused() -> None:
    """Avro readers ignore what follows the record; a torn or concatenated event must not pass as a good one."""
    assert _refusal(WIRE.encode_delivery(DELIVERY) + b"\x00") == DeadLetterReason.TRAILING_BYTES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "not-a-uuid"),
        ("event_id", "{6f1d3b0a-58a0-4c39-9d55-3b8c6c1f7d11}"),
        ("delivery_id", ""),
        ("delivery_id", "  "),
        ("delivery_id", "x" * 257),
        ("delivery_id", "a\nb"),
        ("provider", "a\x00"),
        ("audio_uri", ""),
        ("audio_uri", "s3://b/" + "x" * 4096),
        ("audio_uri", "/in/\x1b[31m"),
        ("delivered_at", -1),
        ("delivered_at", 2**62),
        ("delivered_at", 1_790_000_000_000_000),
        ("label", "x" * 257),
        ("track_id", "\u2028"),
        ("isrc", "DE-A62-26-00001"),
        ("expected_sha256", "AB" * 32),
        ("expected_sha256", "ab" * 31),
    ],
)
def test_senseless_values_are_refused(field: str, value: object) -> None:
    """An event can be flawless Avro and still nonsense; it must not reach the pipeline."""
    assert _refusal(_raw({**RAW_VALUES, field: value})) == DeadLetterReason.INVALID_VALUE


def test_empty_optional_texts_mean_none() -> None:
    """Senders that write an empty string for "no label" are understood."""
    delivery = WIRE.decode_delivery(_raw({**RAW_VALUES, "label": "", "isrc": "", "track_id": ""}))
    assert (delivery.label, delivery.isrc, delivery.track_id) == (None, None, None)


def test_senseless_deliveries_are_not_written() -> None:
    """What the worker would refuse, the sender is told before it is sent."""
    with pytest.raises(BadEventError, match="delivery_id is empty"):
        WIRE.encode_delivery(dataclasses.replace(DELIVERY, delivery_id=""))
    with pytest.raises(BadEventError, match="delivered_at"):
        WIRE.encode_delivery(dataclasses.replace(DELIVERY, delivered_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_details_of_any_kind_can_be_published() -> None:
    """Errors quote file names that are no UTF-8, and can be long; the verdict is published all the same."""
    judgement = Judgement(Decision.REVIEW, Reason.CORRUPT, "\udcff" + "x" * 10_000)
    read = WIRE.decode_verdict(WIRE.encode_verdict(dataclasses.replace(VERDICT, judgement=judgement)))
    assert read.judgement.detail == "?" + "x" * 1_999


def test_published_schemas_do_not_change() -> None:
    """The ids are on the wire for good: the catalogue is only ever added to, and its ids have no gaps."""
    assert [each.schema_id for each in published_schemas()] == list(range(1, len(published_schemas()) + 1))
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in SCHEMAS.glob("*.avsc")} == {
        "delivery.v1.avsc": "ac28046c84a95036",
        "verdict.v1.avsc": "1faaa18fc57f9dd1",
        "verdict.v2.avsc": "3fcfd3acad137629",
        "dead_letter.v1.avsc": "d431307b1da15f19",
        "dead_letter.v2.avsc": "32fa6322c0809bc5",
    }
    assert [(each.record, each.version) for each in published_schemas()] == [
        ("delivery", 1),
        ("verdict", 1),
        ("dead_letter", 1),
        ("dead_letter", 2),
        ("verdict", 2),
    ]


def test_enums_match_the_schemas() -> None:
    """Every reason and decision of the code has its symbol in the newest schema, so that none fails to be written."""
    for reason in Reason:
        judgement = Judgement(Decision.REVIEW, reason, "x")
        WIRE.encode_verdict(dataclasses.replace(VERDICT, judgement=judgement))
    for reason in DeadLetterReason:
        WIRE.encode_dead_letter(dataclasses.replace(DEAD_LETTER, reason=reason))


class _Registry(SchemaRegistryClient):  # type: ignore[misc]
    """A registry that answers what the test says."""

    def __init__(self, answer: Schema | Exception) -> None:
        super().__init__({"url": "http://registry.invalid"})
        self.answer = answer
        self.calls = 0
        self.looked_up: Exception | None = SchemaRegistryError(404, 40403, "no such schema")

    def get_schema(self, *_: object, **__: object) -> Schema:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def register_schema_full_response(self, *_: object, **__: object) -> Any:
        assert isinstance(self.answer, Exception)
        raise self.answer

    def lookup_schema(self, subject: str, *_: object, **__: object) -> Any:
        assert subject == "lossgate.verdicts-value"
        if self.looked_up is not None:
            raise self.looked_up


def _wire_with(monkeypatch: pytest.MonkeyPatch, registry: _Registry) -> Wire:
    monkeypatch.setattr("worker.kafka.wire.connect", lambda *_: registry)
    return Wire(Settings(_env_file=None))


@pytest.mark.parametrize(
    "error",
    [
        SchemaRegistryError(503, 50001, "starting"),
        SchemaRegistryError(401, 401, "who are you"),
        SchemaRegistryError(404, -1, "a proxy's page"),
        httpx.ConnectError("refused"),
        TimeoutError(),
    ],
)
def test_registry_failures_are_no_fault_of_the_event(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """While the registry can't be asked, no event becomes a dead letter; once it answers, all is well."""
    monkeypatch.setattr(writer_schemas, "_BREATHER_S", 0.0)
    registry = _Registry(error)
    wire = _wire_with(monkeypatch, registry)
    value = WIRE.encode_delivery(DELIVERY)
    with pytest.raises(TransientError):
        wire.decode_delivery(value)
    registry.answer = Schema(published_schemas()[0].text, "AVRO")
    assert wire.decode_delivery(value) == DELIVERY


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SchemaRegistryError(409, 409, "incompatible"), FatalError),
        (SchemaRegistryError(500, 50001, "store"), TransientError),
        (httpx.ConnectError("refused"), TransientError),
        (httpx2.ReadTimeout("timed out"), TransientError),
    ],
)
def test_registry_failures_when_writing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    """A registry that refuses our schema stops the worker; one that is away is waited for."""
    wire = _wire_with(monkeypatch, _Registry(error))
    with pytest.raises(kind):
        wire.encode_verdict(VERDICT)


@pytest.mark.parametrize("looked_up", [None, httpx2.ReadTimeout("timed out")])
def test_a_schema_refused_because_it_is_being_registered_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, looked_up: Exception | None
) -> None:
    """A registry that hung carries out what timed out here, and says 409 to the next try: that ended the worker."""
    registry = _Registry(SchemaRegistryError(409, 40901, "An artifact with this ID already exists."))
    registry.looked_up = looked_up
    with pytest.raises(TransientError):
        _wire_with(monkeypatch, registry).encode_verdict(VERDICT)


def test_newer_writers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender with a newer, compatible schema (one more optional field) is read with ours."""
    newer = json.loads(published_schemas()[0].text)
    newer["fields"].insert(2, {"name": "genre", "type": ["null", "string"], "default": None})
    buffer = io.BytesIO()
    fastavro.schemaless_writer(
        buffer, fastavro.parse_schema(without_logical_types(newer)), {**RAW_VALUES, "genre": "polka"}
    )
    wire = _wire_with(monkeypatch, _Registry(Schema(json.dumps(newer), "AVRO")))
    assert wire.decode_delivery(struct.pack(">bI", 0, 9) + buffer.getvalue()).provider == "p"


@pytest.mark.parametrize(
    "extra",
    [
        {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]},
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "None", "size": 0}},
        {"type": "map", "values": {"type": "array", "items": {"type": "null"}}},
    ],
)
def test_unbounded_schemas_are_refused(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]) -> None:
    """A registered schema under which ten bytes decode to a million items or a million levels is not used."""
    schema = json.loads(published_schemas()[0].text)
    schema["fields"].append({"name": "extra", "type": extra})
    wire = _wire_with(monkeypatch, _Registry(Schema(json.dumps(schema), "AVRO")))
    assert _refusal(struct.pack(">bI", 0, 9) + b"\x00" * 100, wire) == DeadLetterReason.UNKNOWN_SCHEMA


@pytest.mark.parametrize("schema", ["not json", '"string"', '{"type": "record"}', '{"type": "enum", "name": "E"}'])
def test_invalid_schemas_are_refused(monkeypatch: pytest.MonkeyPatch, schema: str) -> None:
    """What the registry holds under an id need not be Avro that can be used."""
    wire = _wire_with(monkeypatch, _Registry(Schema(schema, "AVRO")))
    assert _refusal(struct.pack(">bI", 0, 9) + b"x", wire) == DeadLetterReason.UNKNOWN_SCHEMA


def test_our_schemas_are_bounded() -> None:
    """The check that guards against strangers' schemas passes all of ours."""
    assert all(is_bounded(fastavro.parse_schema(json.loads(each.text))) for each in published_schemas())


def test_wrong_registry_properties_name_the_setting() -> None:
    """A property the client does not know is told with the setting to change, without its value."""
    with pytest.raises(SettingsError, match="LOSSGATE_SCHEMA_REGISTRY_PROPERTIES") as caught:
        Wire(
            Settings(
                _env_file=None,
                schema_registry_url="http://registry.invalid",
                schema_registry_properties={"basic.auth.user.inf": "user:hunter2"},
            )
        )
    assert "hunter2" not in str(caught.value)


def test_unknown_symbols_of_newer_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader older than the writer takes an unknown decision for a review."""
    newer = json.loads(next(each.text for each in published_schemas() if each.record == "verdict"))
    decision = next(field for field in newer["fields"] if field["name"] == "decision")
    decision["type"]["symbols"].append("ESCALATE")
    wire = _wire_with(monkeypatch, _Registry(Schema(json.dumps(newer), "AVRO")))
    buffer = io.BytesIO()
    values = {**schema_values(), "decision": "ESCALATE"}
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(newer), values)
    read = wire.decode_verdict(struct.pack(">bI", 0, 9) + buffer.getvalue())
    assert read.judgement.decision == Decision.REVIEW


def test_unknown_symbols_of_newer_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader older than the writer takes an unknown reason for UNKNOWN and shows the rest."""
    newer = json.loads(schema_registry.newest_schema("dead_letter").text)
    reason = next(field for field in newer["fields"] if field["name"] == "reason")
    reason["type"]["symbols"].append("EATEN")
    wire = _wire_with(monkeypatch, _Registry(Schema(json.dumps(newer), "AVRO")))
    buffer = io.BytesIO()
    values = {**dead_letter_to_avro(DEAD_LETTER), "reason": "EATEN"}
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(newer), values)
    read = wire.decode_dead_letter(struct.pack(">bI", 0, 9) + buffer.getvalue())
    assert read == dataclasses.replace(DEAD_LETTER, reason=DeadLetterReason.UNKNOWN)


def schema_values() -> dict[str, Any]:
    """Avro values of the example verdict."""
    return verdict_to_avro(dataclasses.replace(VERDICT, judged_at=datetime(2026, 1, 1, tzinfo=UTC)))


def test_schemas_are_found_as_package_data() -> None:
    """The catalogue is read from the installed package, not from the working directory."""
    assert schema_registry.newest_schema("verdict").record == "verdict"
