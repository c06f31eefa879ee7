"""Consume verdicts into SQLite, each once, whatever dies when.  An example: copy it and change `store`.

    python consume_verdicts.py --bootstrap localhost:9092 --database verdicts.db [--registry http://localhost:8081]

Needs `confluent-kafka` (with its schema-registry extra where there is a registry) and `fastavro`; nothing of Lossgate
but its schemas.
"""

import argparse
import io
import json
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

SCHEMAS = Path(__file__).parent.parent.parent.parent / "schemas"
READER_SCHEMA = fastavro.parse_schema(json.loads((SCHEMAS / "verdict.v2.avsc").read_text("utf-8")))

TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
  verdict_id TEXT PRIMARY KEY, delivery_id TEXT, provider TEXT, decision TEXT, reason TEXT, probability REAL
)
"""


def main() -> None:
    """Read for ever, or with `--once` until the end of the topic."""
    parser = argparse.ArgumentParser(description="Verdicts into SQLite.")
    parser.add_argument("--bootstrap", required=True, help="brokers, host:port")
    parser.add_argument("--database", required=True, help="SQLite file")
    parser.add_argument("--topic", default="lossgate.verdicts")
    parser.add_argument("--group", default="verdicts-into-sqlite")
    parser.add_argument("--registry", help="Schema Registry; without one the ids of schemas/catalogue.json count")
    parser.add_argument("--once", action="store_true", help="end when all there is has been read")
    arguments = parser.parse_args()

    writer_schema = from_registry(arguments.registry) if arguments.registry else from_files()
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": arguments.group,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",  # what was rolled back is not seen
            "enable.auto.commit": False,  # the offset follows the effect
            "enable.partition.eof": True,  # for --once
        }
    )
    consumer.subscribe([arguments.topic])
    database = sqlite3.connect(arguments.database)
    database.execute(TABLE)
    at_end: set[int] = set()
    try:
        while not (arguments.once and at_end and len(at_end) == len(consumer.assignment())):
            message = consumer.poll(1.0)
            if message is None:
                continue
            if (error := message.error()) is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                at_end.add(message.partition())
                continue
            if not is_replay(message):
                store(database, decode(message, writer_schema))
            # Dying before this line repeats the verdict, which `store` then ignores.
            consumer.commit(message, asynchronous=False)
    finally:
        consumer.close()
        database.close()


def is_replay(message: Message) -> bool:
    """Whether the verdict comes from a replay, told by its header."""
    return any(name == "lossgate-replay" for name, _ in message.headers() or ())


def decode(message: Message, writer_schema: Callable[[int], Any]) -> dict[str, Any]:
    """Decode a value: a zero byte, the id of the schema it was written with, Avro; read with the schema we know."""
    value = message.value()
    zero, schema_id = struct.unpack(">bI", value[:5])
    if zero != 0:
        raise ValueError(f"offset {message.offset()}: not Confluent's wire format")
    verdict = fastavro.schemaless_reader(io.BytesIO(value[5:]), writer_schema(schema_id), READER_SCHEMA)
    if not isinstance(verdict, dict):
        raise TypeError(f"offset {message.offset()}: no record")
    return verdict


def store(database: sqlite3.Connection, verdict: dict[str, Any]) -> None:
    """Have the effect, once: the verdict's id is the key, and one that is there is left alone."""
    decision = verdict["decision"]
    if decision not in {"ACCEPT", "REJECT"}:
        decision = "REVIEW"  # also what a later version may say
    row = [str(verdict["verdict_id"]), verdict["delivery_id"], verdict["provider"], decision]
    with database:  # a transaction
        database.execute(
            "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)",
            [*row, verdict["reason"], verdict["probability"]],
        )


def from_files() -> Callable[[int], Any]:
    """Schemas by id where no registry is in use."""
    entries = json.loads((SCHEMAS / "catalogue.json").read_text("utf-8"))
    schemas = {
        each["id"]: fastavro.parse_schema(json.loads((SCHEMAS / each["file"]).read_text("utf-8"))) for each in entries
    }
    return schemas.__getitem__


def from_registry(url: str) -> Callable[[int], Any]:
    """Schemas by id from a registry; the client remembers them."""
    from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 -- only where one is in use

    client = SchemaRegistryClient({"url": url})
    return lambda schema_id: fastavro.parse_schema(json.loads(client.get_schema(schema_id).schema_str))


if __name__ == "__main__":
    main()
