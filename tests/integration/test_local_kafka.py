"""The local Kafka itself: leaves nothing behind, and says plainly why it can't run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from demo.kafka import local_kafka as module
from demo.kafka.local_kafka import KAFKA_VERSION, LocalKafka, LocalKafkaError, check_jars, fetch_jars

pytestmark = pytest.mark.integration
HERE = Path(module.__file__).parent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM and even SIGKILL of its parent end the JVM; the first two remove the data as well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.kafka", "--topic", "a:2"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        # A shell that starts this in the background lets it ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 -- no threads yet
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("127.0.0.1:")
        assert _java_processes(tmp_path)
        process.send_signal(number)
        process.wait(20)
    deadline = time.monotonic() + 10
    while _java_processes(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _java_processes(tmp_path) == []
    if number != signal.SIGKILL:
        assert list(tmp_path.glob("lossgate-kafka-*")) == []


def _java_processes(folder: Path) -> list[str]:
    commands = [each.read_bytes().decode(errors="replace") for each in Path("/proc").glob("[0-9]*/cmdline")]
    return [each for each in commands if str(folder) in each and "kafka.Kafka" in each]


def test_data_survive_a_power_cut(local_kafka: LocalKafka) -> None:
    """After `kill` and `start` the broker has its data and its address still."""
    topic = f"power-cut-{uuid4().hex}"
    local_kafka.create_topics(topic)
    address = local_kafka.bootstrap_servers
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, b"still here")
    assert producer.flush(10) == 0
    local_kafka.kill()
    assert not local_kafka.running
    local_kafka.start()
    assert local_kafka.bootstrap_servers == address
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"still here"


def test_a_topic_is_created_once(local_kafka: LocalKafka) -> None:
    """A test that reuses another's topic is told, instead of reading what the other wrote."""
    name = f"created-{uuid4().hex[:8]}"
    local_kafka.create_topics(name)
    with pytest.raises(LocalKafkaError, match="already exists"):
        local_kafka.create_topics(name)


def test_altered_jars_are_refused(tmp_path: Path) -> None:
    """A jar that is missing, altered or unknown stops the start, with the way out."""
    for jar in fetch_jars():
        shutil.copy(jar, tmp_path)
    assert len(check_jars(tmp_path)) == len((HERE / "jars.sha256").read_text().splitlines())
    (tmp_path / f"kafka-clients-{KAFKA_VERSION}.jar").write_bytes(b"altered")
    with pytest.raises(LocalKafkaError, match=r"1 jar.*kafka-clients.*delete the folder"):
        check_jars(tmp_path)
    (tmp_path / "stranger.jar").write_bytes(b"unknown")
    with pytest.raises(LocalKafkaError, match="2 jar"):
        check_jars(tmp_path)


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java there is one line that says what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LocalKafkaError, match="apt-get install openjdk-17-jdk-headless maven"):
        LocalKafka().start()


def test_a_broker_that_cannot_start_shows_its_log() -> None:
    """The reason stands in the error, not in a file that is gone by then."""
    with pytest.raises(LocalKafkaError, match=r"(?s)ended while starting.*log\.segment\.bytes|format.*"):  # noqa: SIM117
        with LocalKafka(properties={"log.segment.bytes": "not a number"}):
            pass


def test_versions_agree() -> None:
    """The version in the code, the one Maven fetches, and the checksums are of one Kafka."""
    pom = (HERE / "pom.xml").read_text()
    assert re.search(rf"<artifactId>kafka_2\.13</artifactId>\s*<version>{re.escape(KAFKA_VERSION)}</version>", pom)
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in (HERE / "jars.sha256").read_text()
