"""Exactly once, on a real broker: whatever dies, joins or restarts midway."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from demo.kafka.local_kafka import LocalKafka
from tests.integration import trivial_worker
from tests.integration.support import Topics, committed, publish, read_dead_letters, read_verdicts, wait_for
from tests.integration.trivial_worker import TrivialWorker
from worker.exceptions import FatalError, TransientError
from worker.kafka.client_config import ClientConfig, make_producer, producer_config
from worker.kafka.wire import Wire
from worker.records import DeadLetterReason, Delivery
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PARTITIONS = 4


def _settings(kafka: LocalKafka, topics: Topics, **more: Any) -> Settings:
    defaults: dict[str, Any] = {
        "kafka_bootstrap_servers": kafka.bootstrap_servers,
        "kafka_group_id": f"group-{topics.deliveries}",
        "kafka_session_timeout_ms": 6_000,
        "kafka_transaction_timeout_ms": 5_000,
        "deliveries_topic": topics.deliveries,
        "verdicts_topic": topics.verdicts,
        "dead_letters_topic": topics.dead_letters,
        "windows_per_track": 1,
        "retry_attempts": 0,
    }
    return Settings(_env_file=None, **{**defaults, **more})


def _send(kafka: LocalKafka, topics: Topics, count: int, first: int = 0) -> list[str]:
    """Send deliveries over all partitions; return their ids."""
    wire = Wire(Settings(_env_file=None))
    ids = [f"delivery-{number}" for number in range(first, first + count)]
    deliveries = [Delivery(uuid4(), each, f"/in/{each}.flac", "label", datetime.now(UTC)) for each in ids]
    publish(kafka.bootstrap_servers, topics.deliveries, [wire.encode_delivery(each) for each in deliveries], PARTITIONS)
    return ids


def _judged(kafka: LocalKafka, topics: Topics) -> list[str]:
    verdicts = read_verdicts(kafka.bootstrap_servers, topics.verdicts, Wire(Settings(_env_file=None)))
    return sorted(verdict.delivery.delivery_id for verdict in verdicts)


def _lag(kafka: LocalKafka, settings: Settings) -> int:
    """Events the group has not committed yet."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": settings.kafka_group_id})
    try:
        partitions = [TopicPartition(settings.deliveries_topic, number) for number in range(PARTITIONS)]
        lag = 0
        for each in consumer.committed(partitions, timeout=10):
            low, high = consumer.get_watermark_offsets(each, timeout=10)
            lag += high - max(each.offset, low)
        return lag
    finally:
        consumer.close()


def _wait_until(condition: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def _process(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    names = (
        *("kafka_bootstrap_servers", "kafka_group_id", "kafka_session_timeout_ms", "kafka_transaction_timeout_ms"),
        *("deliveries_topic", "verdicts_topic", "dead_letters_topic", "windows_per_track", "quarantine_after_deaths"),
        "retry_attempts",
    )
    environment = {f"LOSSGATE_{name.upper()}": str(getattr(settings, name)) for name in names}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.trivial_worker"],
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_verdicts_and_offsets_go_together(local_kafka: LocalKafka, topics: Topics, protocol: str) -> None:
    """After a drain each delivery has one verdict and the group's offsets stand at the end, in both group protocols."""
    settings = _settings(local_kafka, topics, kafka_group_protocol=protocol)
    ids = _send(local_kafka, topics, 100)
    with TrivialWorker(settings) as worker:
        wait_for(100, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert worker.is_drained
    assert _judged(local_kafka, topics) == sorted(ids)
    assert _lag(local_kafka, settings) == 0
    assert worker.budget.count == 0


class _Flaky:
    """A producer that loses its nerve: some transactions have to be aborted at one of their steps."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.calls = 0
        self.aborts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def abort_transaction(self, timeout: float) -> None:
        self.aborts += 1
        self._producer.abort_transaction(timeout)

    def _maybe_fail(self) -> None:
        self.calls += 1
        if self.calls % 3 == 0:
            raise KafkaException(
                KafkaError(KafkaError.ILLEGAL_GENERATION, "as if fenced", txn_requires_abort=True),
            )

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._maybe_fail()
        self._producer.send_offsets_to_transaction(*arguments)

    def commit_transaction(self, timeout: float) -> None:
        self._maybe_fail()
        self._producer.commit_transaction(timeout)


def test_aborted_transactions_leave_no_trace(local_kafka: LocalKafka, topics: Topics) -> None:
    """Transactions aborted at any step are tried again; a committed reader sees neither doubles nor gaps."""
    settings = _settings(local_kafka, topics, max_in_flight_deliveries=6)  # many small transactions
    ids = _send(local_kafka, topics, 60)
    flaky: list[_Flaky] = []

    def wrap(producer: Producer) -> Any:
        flaky.append(_Flaky(producer))
        return flaky[0]

    with TrivialWorker(settings, wrap_producer=wrap):
        wait_for(60, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert flaky[0].aborts > 2
    assert _judged(local_kafka, topics) == sorted(ids)
    assert _lag(local_kafka, settings) == 0


def test_killed_workers_lose_and_double_nothing(local_kafka: LocalKafka, topics: Topics, tmp_path: Path) -> None:
    """SIGKILL of one of two workers, twice: a committed reader sees each of 600 deliveries judged exactly once."""
    settings = _settings(local_kafka, topics)
    ids = _send(local_kafka, topics, 300)
    bootstrap = local_kafka.bootstrap_servers
    with _process(settings, tmp_path / "a.log") as first, _process(settings, tmp_path / "b.log") as second:
        wait_for(30, bootstrap, topics.verdicts, within_s=40)
        ids += _send(local_kafka, topics, 300, first=300)
        first.send_signal(signal.SIGKILL)
        killed_after = len(committed(bootstrap, topics.verdicts))
        with _process(settings, tmp_path / "c.log") as third:
            wait_for(killed_after + 60, bootstrap, topics.verdicts, within_s=60)
            second.send_signal(signal.SIGKILL)
            wait_for(600, bootstrap, topics.verdicts, within_s=60)
            third.send_signal(signal.SIGTERM)
            assert third.wait(30) == 0, (tmp_path / "c.log").read_text()[-2000:]
    assert killed_after < 600, "all was done before the kill: the test proved nothing"
    assert _judged(local_kafka, topics) == sorted(ids)
    assert _lag(local_kafka, settings) == 0


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_rebalances_drop_stale_outcomes(local_kafka: LocalKafka, topics: Topics, protocol: str) -> None:
    """Members join and leave while deliveries are judged: what was begun for a lost partition is not published."""
    settings = _settings(local_kafka, topics, kafka_group_protocol=protocol, lanes=8, max_in_flight_deliveries=200)
    first, second, third = (TrivialWorker(settings, nap_s=0.1) for _ in range(3))
    ids = _send(local_kafka, topics, 200)
    first.hold.clear()
    with first:
        _wait_until(lambda: first.budget.count == settings.max_in_flight_deliveries)
        with second:
            _wait_until(lambda: len(first.ledger.partitions) == 2 and len(second.ledger.partitions) == 2)
            with third:
                _wait_until(lambda: len(third.ledger.partitions) >= 1 and len(second.ledger.partitions) >= 1)
                first.hold.set()
                wait_for(100, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
        wait_for(200, local_kafka.bootstrap_servers, topics.verdicts, within_s=40)
    assert first.stale > 0
    assert _judged(local_kafka, topics) == sorted(ids)
    assert _lag(local_kafka, settings) == 0
    assert (first.budget.count, first.budget.bytes) == (0, 0)


def test_broker_restart_midway(local_kafka: LocalKafka, topics: Topics) -> None:
    """The broker dies and comes back: the worker lives through it, and nothing is lost or doubled."""
    settings = _settings(local_kafka, topics, kafka_transaction_timeout_ms=60_000)
    ids = _send(local_kafka, topics, 400)
    with TrivialWorker(settings, nap_s=0.1) as worker:
        wait_for(20, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
        before = len(committed(local_kafka.bootstrap_servers, topics.verdicts))
        local_kafka.kill()
        time.sleep(1)
        local_kafka.start()
        wait_for(400, local_kafka.bootstrap_servers, topics.verdicts, within_s=90)
    assert before < 400, "all was done before the restart: the test proved nothing"
    assert worker.is_drained
    assert _judged(local_kafka, topics) == sorted(ids)
    assert _lag(local_kafka, settings) == 0


def _produce_raw(kafka: LocalKafka, topic: str, records: Sequence[dict[str, Any]]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "message.max.bytes": 2_000_000})
    for record in records:
        producer.produce(topic, partition=0, **record)
    assert producer.flush(30) == 0


def test_garbage_becomes_dead_letters(local_kafka: LocalKafka, topics: Topics) -> None:
    """Events that can't be read reach the dead letters with their very bytes, between verdicts, and hold up nobody."""
    settings = _settings(local_kafka, topics)
    wire = Wire(settings)
    garbage = b"\x00\x00\x00\x00\x01\xff\xfe not avro"
    huge, gigantic = os.urandom(300_000), os.urandom(1_000_000)
    good = wire.encode_delivery(Delivery(uuid4(), "good", "/in/good.flac", "label", datetime.now(UTC)))
    _produce_raw(
        local_kafka,
        topics.deliveries,
        [
            {"value": garbage, "key": b"\xff\x00", "headers": [("trace", b"\x01"), ("trace", None)]},
            {"value": None, "key": b"tombstone"},
            {"value": huge},
            {"value": gigantic, "key": b"k"},
            {"value": good, "headers": [("lossgate-replay", b"replay-7")]},
        ],
    )
    with TrivialWorker(settings):
        wait_for(1, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert _lag(local_kafka, settings) == 0

    letters = read_dead_letters(local_kafka.bootstrap_servers, topics.dead_letters, wire)
    by_offset = {letter.source.offset: letter for letter in letters}
    assert sorted(by_offset) == [0, 1, 2, 3]
    assert by_offset[0].value == garbage
    assert by_offset[0].key == b"\xff\x00"
    assert by_offset[0].headers == (("trace", b"\x01"), ("trace", None))
    assert by_offset[0].reason == DeadLetterReason.UNDECODABLE
    assert by_offset[1].value is None
    assert by_offset[1].reason == DeadLetterReason.NOT_WIRE_FORMAT
    assert by_offset[2].value == huge
    assert by_offset[2].reason == DeadLetterReason.EVENT_TOO_LARGE
    assert by_offset[3].value is None
    assert "1000000 bytes" in by_offset[3].detail
    keys = {message.key() for message in committed(local_kafka.bootstrap_servers, topics.dead_letters)}
    assert b"\xff\x00" in keys

    (verdict,) = committed(local_kafka.bootstrap_servers, topics.verdicts)
    assert verdict.key() == b"good"
    assert verdict.headers() == [("lossgate-replay", b"replay-7")]
    assert wire.decode_verdict(verdict.value()).replay_id == "replay-7"


def test_dead_letters_fit_narrow_topics(local_kafka: LocalKafka, topics: Topics) -> None:
    """A dead-letter topic that takes small records only gets the reason without the bytes, rather than nothing."""
    narrow = f"{topics.dead_letters}-narrow"
    local_kafka.create_topics(narrow, config={"max.message.bytes": "2000"})
    settings = _settings(local_kafka, topics, dead_letters_topic=narrow)
    _produce_raw(local_kafka, topics.deliveries, [{"value": os.urandom(10_000)}])
    with TrivialWorker(settings):
        wait_for(1, local_kafka.bootstrap_servers, narrow, within_s=30)
    (letter,) = read_dead_letters(local_kafka.bootstrap_servers, narrow, Wire(settings))
    assert letter.value is None
    assert "10000 bytes" in letter.detail


def test_the_budget_bounds_what_is_in_flight(local_kafka: LocalKafka, topics: Topics) -> None:
    """However full the topic, no more deliveries are taken than the budget allows, and all get through."""
    settings = _settings(local_kafka, topics, max_in_flight_deliveries=5, lanes=2)
    ids = _send(local_kafka, topics, 60)
    with TrivialWorker(settings) as worker:
        wait_for(60, local_kafka.bootstrap_servers, topics.verdicts, within_s=40)
    assert worker.most_in_flight <= 5
    assert _judged(local_kafka, topics) == sorted(ids)


class _AwayRegistry(Wire):
    """A wire whose registry is away until told otherwise."""

    is_away = True

    def decode_delivery(self, value: bytes | None) -> Delivery:
        delivery = super().decode_delivery(value)
        if delivery.delivery_id == "delivery-0" and self.is_away:
            raise TransientError("as if away")
        return delivery


def test_an_absent_registry_delays_its_events_only(local_kafka: LocalKafka, topics: Topics) -> None:
    """While the registry is away, its events wait in their partition; none is lost, none becomes a dead letter."""
    settings = _settings(local_kafka, topics)
    ids = _send(local_kafka, topics, 40)
    wire = _AwayRegistry(settings)
    with TrivialWorker(settings, wire=wire):
        wait_for(30, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
        assert "delivery-0" not in _judged(local_kafka, topics)
        wire.is_away = False
        wait_for(40, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert _judged(local_kafka, topics) == sorted(ids)
    assert committed(local_kafka.bootstrap_servers, topics.dead_letters) == []


class _Broken(_Flaky):
    """A producer that is fenced."""

    def _maybe_fail(self) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))


def test_a_fatal_producer_stops_the_worker(local_kafka: LocalKafka, topics: Topics) -> None:
    """A fenced producer ends the worker with an error; the offsets stay, and the next worker does the work."""
    settings = _settings(local_kafka, topics)
    ids = _send(local_kafka, topics, 8)
    worker = TrivialWorker(settings, wrap_producer=_Broken)
    with pytest.raises(FatalError, match="fenced"), worker:
        _wait_until(lambda: worker.failure is not None)
    assert _judged(local_kafka, topics) == []
    assert _lag(local_kafka, settings) == 8
    with TrivialWorker(settings):
        wait_for(8, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert _judged(local_kafka, topics) == sorted(ids)


def _fence(worker: TrivialWorker, config: ClientConfig) -> None:
    _wait_until(lambda: worker.publisher.is_ready)
    make_producer(config).init_transactions(30)
    worker.hold.set()
    _wait_until(lambda: worker.failure is not None)


def test_a_producer_that_the_brokers_fence_stops_the_worker(
    local_kafka: LocalKafka, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another producer takes the worker's transactional id: the worker ends without a verdict; the next one goes on."""
    settings = _settings(local_kafka, topics)
    ids = _send(local_kafka, topics, 8)
    config = producer_config(settings)
    monkeypatch.setattr(trivial_worker, "producer_config", lambda _: config)
    worker = TrivialWorker(settings)
    monkeypatch.undo()
    worker.hold.clear()
    with pytest.raises(FatalError), worker:
        _fence(worker, config)
    assert _judged(local_kafka, topics) == []
    assert _lag(local_kafka, settings) == 8
    with TrivialWorker(settings):
        wait_for(8, local_kafka.bootstrap_servers, topics.verdicts, within_s=30)
    assert _judged(local_kafka, topics) == sorted(ids)
