"""Records to and from the bytes in Kafka: Confluent's wire format around Avro."""

import io
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryError, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from worker.exceptions import BadEventError, FatalError, TransientError
from worker.kafka.avro_bounds import without_logical_types
from worker.kafka.avro_records import (
    check_delivery,
    dead_letter_from_avro,
    dead_letter_to_avro,
    delivery_from_avro,
    delivery_to_avro,
    verdict_from_avro,
    verdict_to_avro,
)
from worker.kafka.schema_registry import UNREACHABLE, connect, has_registry, newest_schema, serializer_properties
from worker.kafka.writer_schemas import WriterSchemas
from worker.records import DeadLetter, DeadLetterReason, Delivery, Verdict
from worker.settings import Settings

_DELIVERY: Final = "delivery"
_VERDICT: Final = "verdict"
_DEAD_LETTER: Final = "dead_letter"
_CONFLICT: Final = 409
_GIVEN_UP: Final = {401, 403, _CONFLICT, 422}  # answers of the registry that asking again does not change

RecordT = TypeVar("RecordT")


class Wire:
    """Encodes and decodes the three records.  Thread-safe.

    With a registry the newest schemas are registered under `<topic>-value` at the first write;
    without one the ids are those of `schemas/catalogue.json`.

    Args:
        settings: topics and registry.
        patience_s: how long an unknown schema may be on its way to the registry; events of it are transient until then.

    Raises:
        SettingsError: the registry's settings can't work.
    """

    def __init__(self, settings: Settings, *, patience_s: float = 0.0) -> None:
        topics = {
            _DELIVERY: settings.deliveries_topic,
            _VERDICT: settings.verdicts_topic,
            _DEAD_LETTER: settings.dead_letters_topic,
        }
        client = connect(settings, topics)
        choices = serializer_properties(settings)
        if choices.get("use.latest.version"):
            choices["auto.register.schemas"] = False  # the two exclude each other
        self._client = client
        self._writer_schemas = WriterSchemas(client, patience_s if has_registry(settings) else 0.0)
        self._contexts = {record: SerializationContext(topic, MessageField.VALUE) for record, topic in topics.items()}
        self._serializers: dict[str, AvroSerializer] = {}
        self._reader_schemas: dict[str, Any] = {}
        for record in topics:
            schema = newest_schema(record).text
            self._reader_schemas[record] = fastavro.parse_schema(without_logical_types(json.loads(schema)))
            self._serializers[record] = AvroSerializer(
                client,
                Schema(schema, "AVRO"),
                conf={
                    "validate.strict": True,
                    # Confluent's new default asks the registry for associations, which Lossgate does not use.
                    "subject.name.strategy": topic_subject_name_strategy,
                    **choices,
                },
            )

    def close(self) -> None:
        """Close the connection to the registry."""
        self._client.close()

    def encode_delivery(self, delivery: Delivery) -> bytes:
        """Bytes of a delivery event.

        Raises:
            BadEventError: a value makes no sense; the worker would not take it.
            TransientError: the registry could not be asked.
            FatalError: the registry refuses the schema.
        """
        return self._encode(_DELIVERY, delivery_to_avro(check_delivery(delivery)))

    def encode_verdict(self, verdict: Verdict) -> bytes:
        """Bytes of a verdict.  Raises as `encode_delivery` does, but for BadEventError."""
        return self._encode(_VERDICT, verdict_to_avro(verdict))

    def encode_dead_letter(self, letter: DeadLetter) -> bytes:
        """Bytes of a dead letter.  Raises as `encode_delivery` does, but for BadEventError."""
        return self._encode(_DEAD_LETTER, dead_letter_to_avro(letter))

    def decode_delivery(self, value: bytes | None) -> Delivery:
        """Delivery of an event's value.

        Raises:
            BadEventError: the value is no delivery that makes sense.
            TransientError: the registry could not be asked, or does not know the schema yet; the event may be fine.
        """
        return self._decode(_DELIVERY, value, delivery_from_avro)

    def decode_verdict(self, value: bytes | None) -> Verdict:
        """Verdict of a record's value.  Raises as `decode_delivery` does."""
        return self._decode(_VERDICT, value, verdict_from_avro)

    def decode_dead_letter(self, value: bytes | None) -> DeadLetter:
        """Dead letter of a record's value.  Raises as `decode_delivery` does."""
        return self._decode(_DEAD_LETTER, value, dead_letter_from_avro)

    def _encode(self, record: str, values: dict[str, Any]) -> bytes:
        try:
            return bytes(self._serializers[record](values, self._contexts[record]))
        except SchemaRegistryError as error:
            is_in_doubt = error.http_status_code == _CONFLICT and self._may_be_there(record)
            if error.http_status_code in _GIVEN_UP and not is_in_doubt:
                raise FatalError(f"The schema registry refuses the schema of {record}: {error}") from error
            raise TransientError(f"The schema registry could not take the schema of {record}: {error}") from error
        except UNREACHABLE as error:
            raise TransientError(f"The schema registry did not answer: {error!r}") from error

    def _may_be_there(self, record: str) -> bool:
        """Whether the registry may have our schema, although it has just refused it.

        One that hung, and carries out at last what it was asked before, refuses the same schema given once more
        in that moment ("already exists", seen with Apicurio 2.6).
        """
        subject = topic_subject_name_strategy(self._contexts[record], None)
        try:
            self._client.lookup_schema(subject, Schema(newest_schema(record).text, "AVRO"))
        except SchemaRegistryError:
            return False
        except UNREACHABLE:
            return True
        return True

    def _decode(self, record: str, value: bytes | None, build: Callable[[Mapping[str, Any]], RecordT]) -> RecordT:
        if value is None:
            raise BadEventError(DeadLetterReason.NOT_WIRE_FORMAT, "The event has no value (a tombstone).")
        buffer = io.BytesIO(value)
        reader_schema = self._reader_schemas[record]
        writer_schema = self._writer_schemas.get(_schema_identity(buffer), reader_schema["name"])
        try:
            values = fastavro.schemaless_reader(buffer, writer_schema, reader_schema)
        except Exception as error:  # arbitrary bytes make the reader raise half a dozen kinds
            raise BadEventError(
                DeadLetterReason.UNDECODABLE, f"The value is not Avro of its schema ({type(error).__name__})."
            ) from error
        # fastavro stops where the schema ends and takes what follows for none of its business.
        if trailing := len(value) - buffer.tell():
            raise BadEventError(DeadLetterReason.TRAILING_BYTES, f"{trailing} bytes follow the Avro record.")
        return build(values)


def _schema_identity(buffer: io.BytesIO) -> int | str:
    """Read the prefix: a schema id, or a GUID in the newer form."""
    prefix = SchemaId("AVRO")
    try:
        prefix.from_bytes(buffer)
    except (SerializationError, struct.error, ValueError) as error:
        raise BadEventError(
            DeadLetterReason.NOT_WIRE_FORMAT, "The value does not begin with a schema id (Confluent's wire format)."
        ) from error
    return prefix.id if prefix.id is not None else str(prefix.guid)
