"""Deliveries that can't be fetched for now: tried again later, judged once, whatever goes wrong in between."""

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import (
    Topics,
    committed,
    delivery_of,
    publish,
    read_dead_letters,
    read_verdicts,
    wait_for,
    wire,
    worker_process,
    worker_settings,
    write_flac,
)
from tests.integration.trivial_worker import ACCEPT, TrivialWorker
from worker.records import DeadLetterReason, Decision, Delivery, FetchFault, Judgement, Reason
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FETCHES = 2  # tries of one delivery's fetch before it is put off
ATTEMPTS = 2  # rounds through the retries topic
DELAY_S = 1.5
FAILED = Judgement(Decision.REVIEW, Reason.FETCH_FAILED, "As if away.", passing=FetchFault.CONNECTION)


class _Store(http.server.ThreadingHTTPServer):
    """Serves one FLAC under every name; `heals…` says 503 until the second round, `never…` says it always."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _StoreHandler)
        self.body = body
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/in/"


class _StoreHandler(http.server.BaseHTTPRequestHandler):
    server: _Store

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer by name."""
        name = self.path.rpartition("/")[2]
        with self.server.lock:
            self.server.asked[name] += 1
            count = self.server.asked[name]
        if name.startswith("never") or (name.startswith("heals") and count <= FETCHES):
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[_Store]:
    """A running store."""
    with _Store(write_flac(tmp_path / "body.flac").read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def retries_topic(local_kafka: LocalKafka, topics: Topics) -> str:
    """A retries topic of the test's own."""
    name = f"{topics.deliveries}.retries"
    local_kafka.create_topics(name, partitions=2)
    return name


def _unread(kafka: LocalKafka, group: str, *names: str) -> int:
    """Events of these topics the group has not committed yet.

    Not the lag: the marker of a transaction takes an offset too, and nobody reads up to behind the last one.
    """
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    try:
        unread = 0
        for name in names:
            numbers = consumer.list_topics(name, 10).topics[name].partitions
            asked = [TopicPartition(name, number) for number in numbers]
            positions = {each.partition: each.offset for each in consumer.committed(asked, timeout=10)}
            events = committed(kafka.bootstrap_servers, name)
            unread += sum(each.offset() >= positions[each.partition()] for each in events)
        return unread
    finally:
        consumer.close()


def test_a_store_that_heals_and_one_that_never_does(
    local_kafka: LocalKafka,
    topics: Topics,
    retries_topic: str,
    free_ports: list[int],
    quick_detector: Path,
    store: _Store,
    tmp_path: Path,
) -> None:
    """Through the whole worker: judged after its retry, review after the last one, each exactly once."""
    codec, bootstrap = wire(), local_kafka.bootstrap_servers
    names = ["good", *(f"heals-{number}" for number in range(3)), *(f"never-{number}" for number in range(3)), "last"]
    events = [codec.encode_delivery(delivery_of(f"{store.url}{name}", name)) for name in names]
    publish(bootstrap, topics.deliveries, events, partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap})
    forged = [("lossgate-retry-attempt", b"-1")]
    producer.produce(retries_topic, events[0], b"forged", partition=0, headers=forged)
    assert producer.flush(30) == 0

    settings = worker_settings(bootstrap, topics, tmp_path, free_ports[0]) | {
        "LOSSGATE_ALLOWED_URI_PREFIXES": f'["{store.url}"]',
        "LOSSGATE_MODEL_DIR": str(quick_detector),
        "LOSSGATE_FETCH_ATTEMPTS": str(FETCHES),
        "LOSSGATE_RETRIES_TOPIC": retries_topic,
        "LOSSGATE_RETRY_ATTEMPTS": str(ATTEMPTS),
        "LOSSGATE_RETRY_DELAY_S": str(DELAY_S),
    }
    with worker_process(settings, tmp_path / "worker.log") as process:
        wait_for(len(names), bootstrap, topics.verdicts, within_s=120)
        process.terminate()
        assert process.wait(40) == 0

    verdicts = read_verdicts(bootstrap, topics.verdicts, codec)
    assert sorted(each.delivery.delivery_id for each in verdicts) == sorted(names)
    # What needs no retry does not wait for what does.
    first = sorted(verdicts, key=lambda each: each.judged_at)[:2]
    assert {each.delivery.delivery_id for each in first} == {"good", "last"}
    for verdict in verdicts:
        name = verdict.delivery.delivery_id
        assert (verdict.judgement.reason is Reason.FETCH_FAILED) == name.startswith("never"), name
        assert (verdict.source.topic, verdict.source.offset) == (topics.deliveries, names.index(name))
        assert verdict.source.timestamp is not None
        rounds = {"heals": FETCHES + 1, "never": FETCHES * (1 + ATTEMPTS)}.get(name.partition("-")[0], 1)
        assert store.asked[name] == rounds, name
    assert len(committed(bootstrap, retries_topic)) == 1 + 3 * 1 + 3 * ATTEMPTS
    (letter,) = read_dead_letters(bootstrap, topics.dead_letters, codec)
    assert (letter.reason, letter.source.topic) == (DeadLetterReason.INVALID_VALUE, retries_topic)
    assert letter.value == events[0]
    assert letter.headers == tuple(forged)
    assert _unread(local_kafka, settings["LOSSGATE_KAFKA_GROUP_ID"], topics.deliveries, retries_topic) == 0


class _Flaky:
    """A producer some of whose transactions have to be aborted."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout: float) -> None:
        self.calls += 1
        if self.calls % 3 == 0:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "as if fenced", txn_requires_abort=True))
        self._producer.commit_transaction(timeout)


def _settings(kafka: LocalKafka, topics: Topics, retries_topic: str) -> Settings:
    return Settings(
        _env_file=None,
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_group_id=f"group-{topics.deliveries}",
        kafka_session_timeout_ms=6_000,
        deliveries_topic=topics.deliveries,
        verdicts_topic=topics.verdicts,
        dead_letters_topic=topics.dead_letters,
        retries_topic=retries_topic,
        retry_attempts=ATTEMPTS,
        retry_delay_s=1.0,
        max_in_flight_deliveries=10,
        windows_per_track=1,
    )


def test_each_once_under_aborts_and_rebalances(local_kafka: LocalKafka, topics: Topics, retries_topic: str) -> None:
    """Aborted transactions, a member that joins and one that leaves: no retry is lost, and none is judged twice."""
    settings = _settings(local_kafka, topics, retries_topic)
    codec = wire()
    ids = [f"{kind}-{number}" for number in range(20) for kind in ("well", "once", "never")]
    deliveries = [Delivery(uuid4(), each, f"/in/{each}.flac", "label", datetime.now(UTC)) for each in ids]
    publish(local_kafka.bootstrap_servers, topics.deliveries, [codec.encode_delivery(each) for each in deliveries], 4)
    tried: Counter[str] = Counter()

    def judge(delivery: Delivery) -> Judgement:
        tried[delivery.delivery_id] += 1
        kind = delivery.delivery_id.partition("-")[0]
        return FAILED if kind == "never" or (kind == "once" and tried[delivery.delivery_id] == 1) else ACCEPT

    with TrivialWorker(settings, wrap_producer=_Flaky, judge=judge):
        wait_for(10, local_kafka.bootstrap_servers, topics.verdicts, within_s=40)
        with TrivialWorker(settings, wrap_producer=_Flaky, judge=judge):
            wait_for(30, local_kafka.bootstrap_servers, topics.verdicts, within_s=40)
        wait_for(60, local_kafka.bootstrap_servers, topics.verdicts, within_s=60)
    verdicts = read_verdicts(local_kafka.bootstrap_servers, topics.verdicts, codec)
    assert sorted(each.delivery.delivery_id for each in verdicts) == sorted(ids)
    assert {each.source.topic for each in verdicts} == {topics.deliveries}
    assert len({(each.source.partition, each.source.offset) for each in verdicts}) == 60
    failed = {each.delivery.delivery_id for each in verdicts if each.judgement.reason is Reason.FETCH_FAILED}
    assert failed == {each for each in ids if each.startswith("never")}
    assert len(committed(local_kafka.bootstrap_servers, retries_topic)) >= 20 * ATTEMPTS + 10
    assert committed(local_kafka.bootstrap_servers, topics.dead_letters) == []
    assert _unread(local_kafka, settings.kafka_group_id, topics.deliveries, retries_topic) == 0


def test_a_missing_retries_topic_costs_the_retries_only(local_kafka: LocalKafka, topics: Topics) -> None:
    """Where nobody created the topic, the worker goes on, and what can't be fetched gets its review at once."""
    settings = _settings(local_kafka, topics, f"{topics.deliveries}.nowhere")
    codec = wire()
    deliveries = [delivery_of("/in/a.flac", f"delivery-{number}") for number in range(8)]
    publish(local_kafka.bootstrap_servers, topics.deliveries, [codec.encode_delivery(each) for each in deliveries], 4)
    with TrivialWorker(settings, judge=lambda _: FAILED):
        wait_for(8, local_kafka.bootstrap_servers, topics.verdicts, within_s=120)
    verdicts = read_verdicts(local_kafka.bootstrap_servers, topics.verdicts, codec)
    assert len({each.delivery.delivery_id for each in verdicts}) == len(verdicts) == 8
