"""The example for consumers, run as a consumer would run it."""

import dataclasses
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, delivery_of
from tests.worker.kafka.records_for_tests import VERDICT
from worker.constants import REPLAY_HEADER
from worker.kafka.wire import Wire
from worker.records import Verdict
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "contract" / "examples" / "consume_verdicts.py"


def _verdict(name: str) -> Verdict:
    delivery = delivery_of(f"/in/{name}.flac", name)
    return dataclasses.replace(VERDICT, delivery=delivery, verdict_id=uuid4(), replay_id=None)


def _write(kafka: LocalKafka, topic: str, verdicts: list[Verdict], *, commit: bool = True) -> None:
    """Write verdicts in a transaction, as the publisher does."""
    wire = Wire(Settings(_env_file=None))
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"example-{uuid4()}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for each in verdicts:
        headers = [] if each.replay_id is None else [(REPLAY_HEADER, each.replay_id.encode())]
        producer.produce(
            topic, key=each.delivery.delivery_id, value=wire.encode_verdict(each), headers=headers, partition=0
        )
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def _consume(kafka: LocalKafka, topic: str, database: Path, group: str) -> list[str]:
    """Run the example until it has nothing more to read; return the deliveries it has stored."""
    done = subprocess.run(
        [
            *(sys.executable, str(EXAMPLE), "--bootstrap", kafka.bootstrap_servers, "--topic", topic),
            *("--database", str(database), "--group", group, "--once"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(database)) as stored:
        return [name for (name,) in stored.execute("SELECT delivery_id FROM verdicts ORDER BY rowid")]


def test_each_verdict_has_its_effect_once(local_kafka: LocalKafka, topics: Topics, tmp_path: Path) -> None:
    """Repeated, rolled-back and replayed verdicts have no effect, also when the consumer loses its offsets."""
    one, two, rolled_back = (_verdict(name) for name in ("one", "two", "rolled-back"))
    replayed = dataclasses.replace(_verdict("replayed"), replay_id="backfill-1")
    _write(local_kafka, topics.verdicts, [one])
    _write(local_kafka, topics.verdicts, [rolled_back], commit=False)
    _write(local_kafka, topics.verdicts, [one, replayed, two])
    database = tmp_path / "verdicts.db"
    assert _consume(local_kafka, topics.verdicts, database, "first") == ["one", "two"]
    assert _consume(local_kafka, topics.verdicts, database, "another, from the start") == ["one", "two"]
