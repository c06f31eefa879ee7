"""`lossgate submit` and `lossgate verdicts` against the local Kafka."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, committed
from worker.cli.app import app
from worker.cli.exit_codes import ExitCode
from worker.cli.submit import default_delivery_id
from worker.kafka.wire import Wire
from worker.records import Coordinates, Decision, Delivery, DetectorIdentity, Judgement, Reason, Verdict
from worker.settings import Settings

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def environment(local_kafka: LocalKafka, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Point the commands at the local Kafka and topics of this test's own."""
    monkeypatch.setenv("LOSSGATE_KAFKA_BOOTSTRAP_SERVERS", local_kafka.bootstrap_servers)
    monkeypatch.setenv("LOSSGATE_DELIVERIES_TOPIC", topics.deliveries)
    monkeypatch.setenv("LOSSGATE_VERDICTS_TOPIC", topics.verdicts)
    monkeypatch.setenv("LOSSGATE_DEAD_LETTERS_TOPIC", topics.dead_letters)
    return topics


def submitted(settings: Settings) -> list[Delivery]:
    """Read every delivery of the topic."""
    wire = Wire(settings)
    messages = committed(settings.kafka_bootstrap_servers, settings.deliveries_topic)
    deliveries = [wire.decode_delivery(message.value()) for message in messages]
    assert [message.key().decode() for message in messages] == [delivery.delivery_id for delivery in deliveries]
    return deliveries


def write_verdicts(settings: Settings, count: int, *, delivery_id: str = "d-{}", aborted: bool = False) -> None:
    """Write verdicts in a transaction each, over all partitions, and maybe abort them."""
    wire = Wire(settings)
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "transactional.id": f"test-{uuid4().hex}"}
    )
    producer.init_transactions(30)
    for number in range(count):
        delivery = Delivery(uuid4(), delivery_id.format(number), f"s3://masters/{number}.flac", "provider", START)
        verdict = Verdict(
            verdict_id=UUID(int=number),
            delivery=delivery,
            judgement=Judgement(Decision.REJECT, Reason.LOSSY_TRACES, "Traces.", probability=0.98, codec="mp3"),
            detector=DetectorIdentity("cnn", "1", "0" * 64, "p1"),
            worker_version="0.1.0",
            judged_at=START + timedelta(seconds=number),
            source=Coordinates("lossgate.deliveries", 0, number, START),
        )
        producer.begin_transaction()
        producer.produce(settings.verdicts_topic, wire.encode_verdict(verdict), key=delivery.delivery_id.encode())
        if aborted:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)


@pytest.mark.integration
@pytest.mark.usefixtures("environment")
class TestSubmit:
    """Publishing."""

    def test_files_and_uris_become_events(self, runner: CliRunner, tmp_path: Path) -> None:
        """Files of a folder and URIs are published, keyed by delivery id, with what the options say."""
        (tmp_path / "music").mkdir()
        (tmp_path / "music" / "a.flac").write_bytes(b"audio")
        arguments = ["--provider", "Example Music", "--label", "L", "--isrc", "DEA123456789"]
        result = runner.invoke(app, ["submit", "--json", *arguments, "music", "s3://masters/b.flac?version=1"])
        assert result.exit_code == 0, result.output
        receipts = {line["delivery_id"]: line for line in map(json.loads, result.stdout.splitlines())}
        deliveries = {delivery.delivery_id: delivery for delivery in submitted(Settings())}
        assert receipts.keys() == deliveries.keys()
        assert {delivery.audio_uri for delivery in deliveries.values()} == {
            str(tmp_path / "music" / "a.flac"),
            "s3://masters/b.flac?version=1",
        }
        for delivery in deliveries.values():
            assert (delivery.provider, delivery.label, delivery.isrc) == ("Example Music", "L", "DEA123456789")
            assert receipts[delivery.delivery_id]["event_id"] == str(delivery.event_id)

    def test_hash_is_computed(self, runner: CliRunner, tmp_path: Path) -> None:
        """--hash sends along the SHA-256 of the file as it is here."""
        (tmp_path / "a.flac").write_bytes(b"audio")
        assert runner.invoke(app, ["submit", "--hash", "--delivery-id", "D-1", "a.flac"]).exit_code == 0
        (delivery,) = submitted(Settings())
        assert delivery.delivery_id == "D-1"
        assert delivery.expected_sha256 == hashlib.sha256(b"audio").hexdigest()

    def test_event_that_no_worker_would_take_is_not_sent(self, runner: CliRunner) -> None:
        """A value that would end as a dead letter is refused here, before anything is sent."""
        result = runner.invoke(app, ["submit", "--isrc", "nonsense", "s3://masters/a.flac"])
        assert result.exit_code == ExitCode.USAGE
        assert "isrc" in result.stderr
        assert submitted(Settings()) == []

    def test_topic_that_is_not_there(self, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wrong topic is named at once, with the setting."""
        monkeypatch.setenv("LOSSGATE_DELIVERIES_TOPIC", "nowhere")
        result = runner.invoke(app, ["submit", "s3://masters/a.flac"])
        assert result.exit_code == ExitCode.FAILED
        assert "Topic nowhere" in result.stderr
        assert "LOSSGATE_DELIVERIES_TOPIC" in result.stderr


@pytest.mark.integration
@pytest.mark.usefixtures("environment")
class TestVerdicts:
    """Reading."""

    def test_empty_topic(self, runner: CliRunner) -> None:
        """A topic without verdicts is read to its end and the command ends."""
        result = runner.invoke(app, ["verdicts", "--json"])
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")

    def test_last_ones_in_order_without_the_aborted(self, runner: CliRunner) -> None:
        """The last verdicts come oldest first, however many marks and aborted records lie between them."""
        settings = Settings()
        write_verdicts(settings, 12)
        write_verdicts(settings, 40, delivery_id="aborted-{}", aborted=True)
        result = runner.invoke(app, ["verdicts", "--json", "--last", "5"])
        assert result.exit_code == 0, result.stderr
        assert [json.loads(line)["delivery_id"] for line in result.stdout.splitlines()] == [
            "d-7",
            "d-8",
            "d-9",
            "d-10",
            "d-11",
        ]

    def test_all_as_json(self, runner: CliRunner) -> None:
        """--from-beginning shows every verdict, each with the same judgement fields as `check --json` and its own."""
        write_verdicts(Settings(), 30)
        result = runner.invoke(app, ["verdicts", "--json", "--from-beginning"])
        assert result.exit_code == 0, result.stderr
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert sorted(line["delivery_id"] for line in lines) == sorted(f"d-{number}" for number in range(30))
        line = next(line for line in lines if line["delivery_id"] == "d-3")
        assert line["decision"] == "reject"
        assert line["model"] == {"name": "cnn", "version": "1", "sha256": "0" * 64}
        assert line["judged_at"] == "2026-01-02T03:04:08.000Z"
        assert line["source"]["offset"] == 3

    def test_lines_for_a_person_are_safe(self, runner: CliRunner) -> None:
        """What a stranger wrote into an event is shown, not obeyed."""
        settings = Settings()
        write_verdicts(settings, 1, delivery_id="[red]x\u202e[/red]")
        result = runner.invoke(app, ["verdicts"])
        assert "[red]x\\u202e[/red]" in result.stdout
        assert "reject    0.980  mp3" in result.stdout
        assert "2026-01-02 03:04:05" in result.stdout

    def test_record_that_is_no_verdict_is_passed_over(self, runner: CliRunner) -> None:
        """Rubbish in the topic is counted on stderr and does not end the reading."""
        settings = Settings()
        producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
        producer.produce(settings.verdicts_topic, b"rubbish")
        producer.flush(30)
        write_verdicts(settings, 1)
        result = runner.invoke(app, ["verdicts", "--json"])
        assert len(result.stdout.splitlines()) == 1
        assert "1 records" in result.stderr

    def test_follow_shows_new_ones_until_interrupted(self) -> None:
        """--follow prints a verdict soon after it was committed; Ctrl-C ends it quietly."""
        settings = Settings()
        write_verdicts(settings, 1, delivery_id="old-{}")
        repository = Path(__file__).parents[3]
        with subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "verdicts", "--follow", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repository)},
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["delivery_id"] == "old-0"
            write_verdicts(settings, 1, delivery_id="new-{}")
            started = time.monotonic()
            assert json.loads(process.stdout.readline())["delivery_id"] == "new-0"
            assert time.monotonic() - started < 10
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == ExitCode.INTERRUPTED
            assert process.stderr.read() == ""


@pytest.mark.parametrize("command", [["verdicts"], ["submit", "s3://masters/a.flac"]])
def test_no_broker(command: list[str], runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, one line says so and which setting to look at; not hundreds from the client."""
    monkeypatch.setenv("LOSSGATE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("worker.cli.topics._ANSWER_DEADLINE_S", 2.0)
    result = runner.invoke(app, command)
    assert result.exit_code == ExitCode.FAILED
    assert "No Kafka broker answers at 127.0.0.1:1" in result.stderr
    assert "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS" in result.stderr
    assert len(result.stderr.splitlines()) < 5


def test_delivery_id_is_readable_and_the_same_each_time() -> None:
    """By default a delivery is named by its file and a digest of its URI."""
    first = default_delivery_id("/in/Sigur Rós/01 – Ára bátur.flac")  # noqa: RUF001 -- as file names come
    assert first == default_delivery_id("/in/Sigur Rós/01 – Ára bátur.flac")  # noqa: RUF001
    assert first.startswith("01-ra-b-tur-")
    assert first != default_delivery_id("/in/elsewhere/01 – Ára bátur.flac")  # noqa: RUF001
    assert default_delivery_id("s3://x/y.flac?sig=secret").startswith("y-")
    assert "secret" not in default_delivery_id("s3://x/y.flac?sig=secret")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["gone.flac"], "not here"),
        (["--hash", "s3://masters/a.flac"], "local files only"),
        (["--delivery-id", "D", "s3://m/a.flac", "s3://m/b.flac"], "single target"),
        (["--expected-sha256", "abc", "s3://m/a.flac"], "64 hexadecimal"),
    ],
)
def test_submit_refuses_before_it_connects(runner: CliRunner, arguments: list[str], complaint: str) -> None:
    """Arguments that make no sense are refused without Kafka."""
    result = runner.invoke(app, ["submit", *arguments])
    assert result.exit_code == ExitCode.USAGE
    assert complaint in " ".join(result.stderr.split()).replace("│ │ ", "")
