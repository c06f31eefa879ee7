"""How a group shares out the deliveries and the retries topic as `lossgate topics create` makes them."""

import time
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from worker.cli.app import app
from worker.kafka.client_config import consumer_config, make_consumer
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_every_worker_gets_deliveries(local_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """Workers start one after the other in a roll-out: with many retries partitions some would get only those."""
    prefix = f"shares-{uuid4().hex[:8]}"
    for kind in ("deliveries", "verdicts", "dead-letters", "retries"):
        monkeypatch.setenv(f"LOSSGATE_{kind.upper().replace('-', '_')}_TOPIC", f"{prefix}.{kind}")
    monkeypatch.setenv("LOSSGATE_KAFKA_BOOTSTRAP_SERVERS", local_kafka.bootstrap_servers)
    monkeypatch.setenv("LOSSGATE_KAFKA_GROUP_ID", prefix)
    monkeypatch.setenv("LOSSGATE_KAFKA_GROUP_PROTOCOL", protocol)
    assert CliRunner().invoke(app, ["topics", "create", "--partitions", "6"]).exit_code == 0
    settings = Settings(_env_file=None)
    workers = []
    try:
        for _ in range(3):
            workers.append(make_consumer(consumer_config(settings)))
            workers[-1].subscribe([settings.deliveries_topic, settings.retries_topic])
            deadline = time.monotonic() + 30
            held: list[list[str]] = []
            while sum(map(len, held)) != 7 or max(map(len, held)) - min(map(len, held)) > 1:
                assert time.monotonic() < deadline, held
                for worker in workers:
                    worker.poll(0.05)
                held = [[each.topic for each in worker.assignment()] for worker in workers]
        assert all(settings.deliveries_topic in topics for topics in held)
    finally:
        for worker in workers:
            worker.close()
