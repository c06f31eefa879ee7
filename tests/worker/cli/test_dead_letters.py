"""`lossgate dead-letters` against the local Kafka."""

import base64
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result
from confluent_kafka import Producer
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, committed, read_dead_letters, read_verdicts, wait_for
from tests.integration.trivial_worker import TrivialWorker
from worker.cli.app import app
from worker.cli.exit_codes import ExitCode
from worker.constants import REDRIVE_COUNT_HEADER, REDRIVE_HEADER
from worker.exceptions import LossgateError
from worker.kafka.redrive import make_redrive
from worker.kafka.redriver import Redriver
from worker.kafka.wire import Wire
from worker.records import Coordinates, DeadLetter, DeadLetterReason, Delivery
from worker.settings import Settings
from worker.verdict import dead_letter_id

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("environment")]

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def environment(local_kafka: LocalKafka, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Point the commands at the local Kafka and topics of this test's own."""
    monkeypatch.setenv("LOSSGATE_KAFKA_BOOTSTRAP_SERVERS", local_kafka.bootstrap_servers)
    monkeypatch.setenv("LOSSGATE_KAFKA_GROUP_ID", f"group-{topics.deliveries}")
    monkeypatch.setenv("LOSSGATE_DELIVERIES_TOPIC", topics.deliveries)
    monkeypatch.setenv("LOSSGATE_VERDICTS_TOPIC", topics.verdicts)
    monkeypatch.setenv("LOSSGATE_DEAD_LETTERS_TOPIC", topics.dead_letters)
    return topics


def _letter(topic: str, number: int, reason: DeadLetterReason, value: bytes | None) -> DeadLetter:
    source = Coordinates(topic, number % 4, 100 + number, START)
    return DeadLetter(
        dead_letter_id=dead_letter_id(source.topic, source.partition, source.offset),
        reason=reason,
        detail=f"Detail {number}.",
        source=source,
        key=f"key-{number}".encode(),
        value=value,
        headers=(("trace", b"\x01"),),
        worker_version="0",
        failed_at=START + timedelta(minutes=number),
    )


def _write(settings: Settings, *letters: DeadLetter, aborted: bool = False) -> None:
    wire = Wire(settings)
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": f"test-{uuid4().hex}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for letter in letters:
        producer.produce(settings.dead_letters_topic, wire.encode_dead_letter(letter), letter.key, partition=0)
    if aborted:
        producer.flush(30)
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)


def _four(settings: Settings) -> list[DeadLetter]:
    """Write four letters, and one that was never committed."""
    topic = settings.deliveries_topic
    letters = [
        _letter(topic, 0, DeadLetterReason.UNDECODABLE, b"\x00\x00\x00\x00\x01\xff\x1b[31m"),
        _letter(topic, 1, DeadLetterReason.TRAILING_BYTES, b"text"),
        _letter(topic, 2, DeadLetterReason.TRAILING_BYTES, b"more text"),
        _letter(topic, 3, DeadLetterReason.EVENT_TOO_LARGE, None),
    ]
    _write(settings, *letters)
    _write(settings, _letter(topic, 9, DeadLetterReason.UNDECODABLE, b"aborted"), aborted=True)
    return letters


def _lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_chooses_counts_and_stops(runner: CliRunner) -> None:
    """Committed letters come in order, those that the options choose; the count by reason is of all of these."""
    letters = _four(Settings())
    everything = runner.invoke(app, ["dead-letters", "list", "--json"])
    assert [line["dead_letter_id"] for line in _lines(everything)] == [str(each.dead_letter_id) for each in letters]
    assert "4 dead letters: 2 TRAILING_BYTES, 1 UNDECODABLE, 1 EVENT_TOO_LARGE" in everything.stderr

    def chosen(*options: str) -> list[int]:
        return [
            line["source"]["offset"]
            for line in _lines(runner.invoke(app, ["dead-letters", "list", "--json", *options]))
        ]

    assert chosen("--reason", "trailing_bytes", "--reason", "UNDECODABLE") == [100, 101, 102]
    assert chosen("--since", "2026-01-02T03:05:00", "--until", "2026-01-02T04:07:05+0100") == [101, 102]
    assert chosen("--source-partition", "1") == [101]
    assert chosen("--source-topic", "elsewhere") == []
    assert chosen("--source-offsets", "102-110") == [102, 103]
    table = runner.invoke(app, ["dead-letters", "list", "--limit", "1"])
    assert table.stdout.splitlines()[0].startswith("2026-01-02 03:04:05  UNDECODABLE ")
    assert table.stdout.splitlines()[1].startswith("4 dead letters")


def test_show_hides_control_characters_and_reads_the_event_anew(runner: CliRunner, topics: Topics) -> None:
    """A letter is found by each of its names, its bytes are dumped, and what the current schemas make of it is said."""
    settings = Settings()
    garbage, *_ = _four(settings)
    readable = Wire(settings).encode_delivery(Delivery(uuid4(), "D-1", "s3://masters/a.flac", "label", START))
    _write(settings, _letter(topics.deliveries, 8, DeadLetterReason.UNKNOWN_SCHEMA, readable))
    for name in (str(garbage.dead_letter_id), f"{topics.deliveries}/0/100", f"{topics.dead_letters}/0/0"):
        result = runner.invoke(app, ["dead-letters", "show", name])
        assert result.exit_code == 0, result.output
        assert "00 00 00 00 01 ff 1b 5b 33 31 6d" in result.stdout
        assert "\x1b" not in result.stdout
        assert "read today    no: The value is not Avro" in result.stdout
    (whole,) = _lines(runner.invoke(app, ["dead-letters", "show", "--json", f"{topics.deliveries}/0/108"]))
    assert base64.b64decode(whole["value_base64"]) == readable
    assert whole["headers"] == [{"name": "trace", "value_base64": "AQ=="}]
    assert whole["event"]["delivery_id"] == "D-1"
    assert "delivery_id D-1" in runner.invoke(app, ["dead-letters", "show", f"{topics.deliveries}/0/108"]).stdout
    missing = runner.invoke(app, ["dead-letters", "show", f"{topics.deliveries}/0/1"])
    assert missing.exit_code == ExitCode.FAILED


def test_redrive_sends_each_once_and_as_it_was(runner: CliRunner, topics: Topics) -> None:
    """Dry run first, then a limited one, then the rest: every letter with bytes once, the others named."""
    settings = Settings()
    letters = _four(settings)
    dry = runner.invoke(app, ["dead-letters", "redrive", "--all", "--dry-run"])
    assert "would send 3 events; 1 left out: it carries no value" in dry.stdout
    assert committed(settings.kafka_bootstrap_servers, settings.deliveries_topic) == []

    first = runner.invoke(app, ["dead-letters", "redrive", "--all", "--limit", "1", "--yes"])
    assert "sent 1 events" in first.stdout, first.output
    second = _lines(runner.invoke(app, ["dead-letters", "redrive", "--all", "--yes", "--json"]))
    assert sorted(line["action"] for line in second) == ["left_out", "left_out", "sent", "sent"]
    third = runner.invoke(app, ["dead-letters", "redrive", "--reason", "trailing_bytes", "--yes"])
    assert "sent 0 events; 2 left out: it was sent again before" in third.stdout

    messages = committed(settings.kafka_bootstrap_servers, settings.deliveries_topic)
    by_key = {message.key(): message for message in messages}
    assert len(messages) == len(by_key) == 3
    for letter in letters[:3]:
        message = by_key[letter.key]
        assert message.value() == letter.value
        assert message.partition() == letter.source.partition
        assert message.headers() == [
            ("trace", b"\x01"),
            (REDRIVE_HEADER, str(letter.dead_letter_id).encode()),
            (REDRIVE_COUNT_HEADER, b"1"),
        ]
    again = runner.invoke(app, ["dead-letters", "redrive", f"{topics.deliveries}/0/100", "--again", "--yes"])
    assert "sent 1 events" in again.stdout
    assert len(committed(settings.kafka_bootstrap_servers, settings.deliveries_topic)) == 4


def test_loop_of_redrives_is_seen(runner: CliRunner) -> None:
    """An event that fails again has a new letter that says so; a mended one is judged."""
    settings = Settings(kafka_session_timeout_ms=6000)
    wire = Wire(settings)
    value = wire.encode_delivery(Delivery(uuid4(), "D-1", "s3://masters/a.flac", "label", START))
    topic = settings.deliveries_topic
    _write(
        settings,
        _letter(topic, 0, DeadLetterReason.UNDECODABLE, b"garbage"),
        _letter(topic, 1, DeadLetterReason.UNKNOWN_SCHEMA, value),
    )
    assert "sent 2" in runner.invoke(app, ["dead-letters", "redrive", "--all", "--yes"]).stdout
    with TrivialWorker(settings):
        wait_for(3, settings.kafka_bootstrap_servers, settings.dead_letters_topic, within_s=30)
        wait_for(1, settings.kafka_bootstrap_servers, settings.verdicts_topic, within_s=30)
    (verdict,) = read_verdicts(settings.kafka_bootstrap_servers, settings.verdicts_topic, wire)
    assert verdict.delivery.delivery_id == "D-1"
    letters = read_dead_letters(settings.kafka_bootstrap_servers, settings.dead_letters_topic, wire)
    (newest,) = (each for each in letters if each.source.offset < 100)
    listed = _lines(runner.invoke(app, ["dead-letters", "list", "--json"]))
    assert {line["dead_letter_id"]: line["redrives"] for line in listed}[str(newest.dead_letter_id)] == 1
    shown = runner.invoke(app, ["dead-letters", "show", str(newest.dead_letter_id)]).stdout
    assert f"1 times before, last as dead letter {dead_letter_id(topic, 0, 100)}" in shown


def test_other_target(runner: CliRunner, local_kafka: LocalKafka, topics: Topics) -> None:
    """--to sends to another topic; a letter of a foreign topic needs it."""
    settings = Settings()
    other = f"{topics.deliveries}-other"
    local_kafka.create_topics(other)
    _write(settings, _letter("foreign", 0, DeadLetterReason.UNDECODABLE, b"x"))
    assert "--to" in runner.invoke(app, ["dead-letters", "redrive", "--all", "--yes"]).stdout
    assert "sent 1" in runner.invoke(app, ["dead-letters", "redrive", "--all", "--yes", "--to", other]).stdout
    assert [message.value() for message in committed(settings.kafka_bootstrap_servers, other)] == [b"x"]


def test_second_redrive_fences_the_first() -> None:
    """Of two redrives at once the one that began first gives way, with nothing half sent."""
    settings = Settings()
    letter = _letter(settings.deliveries_topic, 0, DeadLetterReason.UNDECODABLE, os.urandom(10))
    first, second = Redriver(settings), None
    first.send([make_redrive(letter, None, 4)])
    second = Redriver(settings)
    with pytest.raises(LossgateError, match="Another redrive"):
        first.send([make_redrive(replace(letter, key=b"late"), None, 4)])
    second.send([make_redrive(replace(letter, key=b"second"), None, 4)])
    keys = [message.key() for message in committed(settings.kafka_bootstrap_servers, settings.deliveries_topic)]
    assert keys == [b"key-0", b"second"]
