"""What the integration tests share: real audio files, delivery events, worker processes, a committed reader."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import soundfile
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from worker.kafka.wire import Wire
from worker.records import DeadLetter, Delivery, Verdict
from worker.settings import Settings

RATE_HZ = 44_100


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one test."""

    deliveries: str
    verdicts: str
    dead_letters: str


def write_flac(path: Path, seconds: float = 4.0, seed: int = 0) -> Path:
    """Write a stereo FLAC of filtered noise: broad enough a spectrum to be judged."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (int(seconds * RATE_HZ), 2))
    soundfile.write(path, np.clip(noise, -1, 1), RATE_HZ, format="FLAC", subtype="PCM_16")
    return path


def delivery_of(uri: str, delivery_id: str, expected_sha256: str | None = None) -> Delivery:
    """A delivery event for an audio object."""
    return Delivery(uuid4(), delivery_id, uri, "test-label", datetime.now(UTC), expected_sha256=expected_sha256)


def publish(bootstrap: str, topic: str, values: Sequence[bytes], partitions: int = 1, first_partition: int = 0) -> None:
    """Write raw records, spread evenly over the partitions; returns when all are acknowledged."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for number, value in enumerate(values):
        producer.produce(topic, value=value, key=f"key-{number}", partition=first_partition + number % partitions)
    assert producer.flush(30) == 0


@contextmanager
def worker_process(
    settings: dict[str, str], log_path: Path, ready_within_s: float = 120.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A real `lossgate run` in a process of its own, ready when this yields, gone afterwards."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "run"],
            env=os.environ | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, int(settings["LOSSGATE_HEALTH_PORT"]), log_path, ready_within_s)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def committed(bootstrap: str, topic: str) -> list[Message]:
    """Every record of a topic that a `read_committed` reader sees from its start to its stable end."""
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = reader.list_topics(topic, 10).topics[topic].partitions
        reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        messages: list[Message] = []
        at_end: set[int] = set()
        while len(at_end) < len(partitions):
            message = reader.poll(10)
            assert message is not None, "the broker fell silent before the end of the topic"
            if message.error() is None:
                messages.append(message)
            else:
                at_end.add(message.partition())
        return messages
    finally:
        reader.close()


def read_verdicts(bootstrap: str, topic: str, wire: Wire) -> list[Verdict]:
    """Every committed verdict."""
    return [wire.decode_verdict(message.value()) for message in committed(bootstrap, topic)]


def read_dead_letters(bootstrap: str, topic: str, wire: Wire) -> list[DeadLetter]:
    """Every committed dead letter."""
    return [wire.decode_dead_letter(message.value()) for message in committed(bootstrap, topic)]


def wait_for(count: int, bootstrap: str, topic: str, within_s: float) -> None:
    """Wait until a topic shows so many committed records.

    Raises:
        AssertionError: they did not come in time.
    """
    deadline = time.monotonic() + within_s
    seen = 0
    while time.monotonic() < deadline:
        seen = len(committed(bootstrap, topic))
        if seen >= count:
            return
        time.sleep(0.5)
    message = f"only {seen} of {count} records in {topic} after {within_s:.0f} s"
    raise AssertionError(message)


def worker_settings(bootstrap: str, topics: Topics, allowed: Path, health_port: int) -> dict[str, str]:
    """Environment of a worker for a test: quick to notice a dead peer, reads one folder only."""
    return {
        "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "LOSSGATE_KAFKA_GROUP_ID": f"group-{topics.deliveries}",
        "LOSSGATE_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "LOSSGATE_KAFKA_TRANSACTION_TIMEOUT_MS": "5000",
        "LOSSGATE_DELIVERIES_TOPIC": topics.deliveries,
        "LOSSGATE_VERDICTS_TOPIC": topics.verdicts,
        "LOSSGATE_DEAD_LETTERS_TOPIC": topics.dead_letters,
        "LOSSGATE_RETRY_ATTEMPTS": "0",  # the tests of retries have their topic
        "LOSSGATE_ALLOWED_URI_PREFIXES": f'["{allowed}/"]',
        "LOSSGATE_DECODER_PROCESSES": "1",
        "LOSSGATE_SEARCHED_SEGMENTS": "1",  # what is tested here happens around the detector
        "LOSSGATE_HEALTH_PORT": str(health_port),
        "LOSSGATE_HEALTH_HOST": "127.0.0.1",
        "LOSSGATE_LOG_FORMAT": "json",
    }


def wire() -> Wire:
    """The wire format with the packaged schemas."""
    return Wire(Settings())


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log_path: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the worker ended while starting:\n{log_path.read_text()[-3000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"the worker was not ready after {within_s:.0f} s:\n{log_path.read_text()[-3000:]}")
