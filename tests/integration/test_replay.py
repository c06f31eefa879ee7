"""Replays on a real broker: interrupted, killed, shared, resumed; each delivery of the range judged once."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import committed, read_dead_letters, read_verdicts
from tests.integration.trivial_replay import ACCEPT, DETECTOR, TrivialPipeline
from worker.cli.app import app
from worker.cli.replay_plans import join_plan
from worker.constants import REPLAY_HEADER
from worker.exceptions import SettingsError
from worker.kafka.wire import Wire
from worker.records import Delivery, DetectorIdentity
from worker.replay.plan import ReplayPlan, Request
from worker.replay.progress import Progress
from worker.replay.runner import Restraint, run_replay
from worker.replay.selection import Selection
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PARTITIONS = 4
GARBAGE = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """A broker with topics of one test's own."""

    bootstrap: str
    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        """The settings as a process gets them."""
        names = self.settings.model_fields_set - {"allowed_uri_prefixes"}
        return {f"LOSSGATE_{name.upper()}": str(getattr(self.settings, name)) for name in names} | {
            "LOSSGATE_ALLOWED_URI_PREFIXES": '["/in/"]'
        }

    def request(self, **more: object) -> Request:
        """Ask for the whole topic, but for what is said."""
        asked: dict[str, object] = {
            "topic": self.settings.deliveries_topic,
            "detector": DETECTOR,
            "windows_per_track": self.settings.windows_per_track,
            "searched_segments": self.settings.searched_segments,
        }
        return Request(**{**asked, **more})  # type: ignore[arg-type]

    def judged(self, topic: str) -> list[str]:
        """Delivery ids of a topic's committed verdicts."""
        return sorted(each.delivery.delivery_id for each in read_verdicts(self.bootstrap, topic, Wire(self.settings)))


@pytest.fixture
def scene(local_kafka: LocalKafka) -> Scene:
    """Fresh topics."""
    name = f"test-{uuid4().hex[:12]}"
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers=local_kafka.bootstrap_servers,
        kafka_group_id=f"{name}",
        kafka_session_timeout_ms=6_000,
        kafka_transaction_timeout_ms=5_000,
        deliveries_topic=f"{name}.deliveries",
        verdicts_topic=f"{name}.verdicts",
        dead_letters_topic=f"{name}.dead-letters",
        replays_topic=f"{name}.replays",
        replay_verdicts_topic=f"{name}.verdicts.replay",
        replay_dead_letters_topic=f"{name}.dead-letters.replay",
        windows_per_track=1,
        max_in_flight_deliveries=32,
        allowed_uri_prefixes=["/in/"],
    )
    local_kafka.create_topics(
        settings.deliveries_topic, settings.verdicts_topic, settings.replay_verdicts_topic, partitions=PARTITIONS
    )
    local_kafka.create_topics(
        settings.dead_letters_topic, settings.replay_dead_letters_topic, settings.replays_topic, partitions=1
    )
    return Scene(local_kafka.bootstrap_servers, settings)


def _send(scene: Scene, ids: list[str], *, garbage: int = 0, provider: str = "label") -> None:
    """Send deliveries in one transaction, whose mark is the last offset of each partition."""
    wire = Wire(scene.settings)
    producer = Producer({"bootstrap.servers": scene.bootstrap, "transactional.id": f"sender-{uuid4()}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    events = [
        wire.encode_delivery(Delivery(uuid4(), each, f"/in/{each}.flac", provider, datetime.now(UTC))) for each in ids
    ]
    for number, value in enumerate([*events, *[b"garbage"] * garbage]):
        producer.produce(scene.settings.deliveries_topic, value, str(number), number % PARTITIONS)
        producer.poll(0)
    producer.commit_transaction(60)


@contextmanager
def _lossgate(scene: Scene, log: Path, *arguments: str, hold: str = "") -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.trivial_replay", *arguments],
            env=os.environ | scene.environment | {"TRIVIAL_HOLD": hold, "LOSSGATE_REPLAY_HEALTH_PORT": "0"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _probes_answer(log: Path, events: int) -> None:
    """Ask a replay at work for its metrics and probes, at the port it told."""
    (port,) = re.findall(r"metrics and probes on port (\d+)", log.read_text())

    def ask(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return str(response.read().decode())

    assert "the poll loop runs" in ask("/startup")
    assert "last heartbeat" in ask("/live")
    assert f"{PARTITIONS} partitions are assigned" in ask("/ready")
    done, deadline = 'lossgate_replay_offsets_done{replay="backfill"}', time.monotonic() + 15
    while True:  # what is done is told a moment after it can be read
        metrics = {
            name: float(value) for name, value in re.findall(r"^(lossgate_\S+) (\S+)$", ask("/metrics"), re.MULTILINE)
        }
        if metrics[done] > 0:
            break
        assert time.monotonic() < deadline, metrics
        time.sleep(0.1)
    assert metrics['lossgate_decisions_total{decision="ACCEPT",reason="NO_LOSSY_TRACES"}'] > 0
    assert metrics['lossgate_replay_offsets_planned{replay="backfill"}'] >= events


def _wait_for(scene: Scene, count: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while (seen := len(committed(scene.bootstrap, scene.settings.replay_verdicts_topic))) < count:
        assert time.monotonic() < deadline, f"only {seen} of {count} verdicts"
        time.sleep(0.2)


@pytest.mark.parametrize("events", [300, pytest.param(5_000, marks=pytest.mark.nightly)])
def test_interrupted_killed_and_resumed_by_two_processes_each_delivery_is_judged_once(
    scene: Scene, tmp_path: Path, events: int
) -> None:
    """SIGTERM drains with 143, SIGKILL leaves no trace, two share what is left and end with 0: all judged once."""
    ids = [f"delivery-{number}" for number in range(events)]
    _send(scene, ids, garbage=GARBAGE)
    held, log = tmp_path / "held", tmp_path / "log"
    held.touch()
    command, hold = ("replay", "run", "backfill", "--pause-above-lag", str(10 * events)), f"{events // 3} {held}"
    with _lossgate(scene, log, *command, "--all", hold=hold) as first:
        _wait_for(scene, events // 4, within_s=120)
        _probes_answer(log, events)
        first.send_signal(signal.SIGTERM)
        held.unlink()
        assert first.wait(60) == 143, log.read_text()
    after_term = len(committed(scene.bootstrap, scene.settings.replay_verdicts_topic))
    _send(scene, ["came-later"])  # behind the plan
    held.touch()
    with _lossgate(scene, log, *command, hold=hold) as victim:
        _wait_for(scene, after_term + events // 4, within_s=120)
        victim.kill()
        victim.wait(10)
    after_kill = len(committed(scene.bootstrap, scene.settings.replay_verdicts_topic))
    with (
        _lossgate(scene, log, *command) as left,
        _lossgate(scene, log, *command) as right,
    ):
        assert (left.wait(300), right.wait(60)) == (0, 0), log.read_text()
    assert 0 < after_term < after_kill < events, "an interruption came too late to prove anything"

    verdicts = read_verdicts(scene.bootstrap, scene.settings.replay_verdicts_topic, Wire(scene.settings))
    assert Counter(each.delivery.delivery_id for each in verdicts) == Counter(ids)
    assert len({each.verdict_id for each in verdicts}) == events
    assert {each.replay_id for each in verdicts} == {"backfill"}
    letters = read_dead_letters(scene.bootstrap, scene.settings.replay_dead_letters_topic, Wire(scene.settings))
    assert len({each.source for each in letters}) == len(letters) == GARBAGE
    for topic in (scene.settings.replay_verdicts_topic, scene.settings.replay_dead_letters_topic):
        records = committed(scene.bootstrap, topic)
        assert {tuple(each.headers()) for each in records} == {((REPLAY_HEADER, b"backfill"),)}
    assert committed(scene.bootstrap, scene.settings.verdicts_topic) == [], "a replay reached the live topic unasked"
    print(f"\n{events} events: {after_term} judged at the SIGTERM, {after_kill} at the SIGKILL")  # noqa: T201 -- with -s
    print(log.read_text())  # noqa: T201 -- the same


def _plan(scene: Scene, replay_id: str, **more: object) -> ReplayPlan:
    return join_plan(scene.settings, replay_id, scene.request(**more))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_only_what_the_plan_means_is_judged(scene: Scene, protocol: str) -> None:
    """Offsets, provider and the planned end hold; asked for, verdicts go to the live topic and say whose they are."""
    _send(scene, [f"a-{number}" for number in range(40)], provider="A")
    _send(scene, [f"b-{number}" for number in range(40)], provider="B")
    plan = _plan(
        scene,
        "some",
        offsets=("0/5-14", "2/0-"),
        selection=Selection(providers=frozenset({"B"})),
        to_live_topic=True,
    )
    _send(scene, [f"late-{number}" for number in range(8)], provider="B")
    settings = scene.settings.model_copy(update={"kafka_group_protocol": protocol})
    ending = run_replay(settings, plan, TrivialPipeline())  # type: ignore[arg-type]
    # Partition 0 holds a-0, a-4, … at offsets 0 to 9, the mark at 10, b-0, b-4, … from 11 on; partition 2 likewise.
    expected = {f"b-{number}" for number in range(0, 16, 4)} | {f"b-{number}" for number in range(2, 40, 4)}
    assert ending.progress.is_complete
    assert scene.judged(scene.settings.verdicts_topic) == sorted(expected)
    assert committed(scene.bootstrap, scene.settings.replay_verdicts_topic) == []


def test_planned_once_and_with_one_detector(scene: Scene) -> None:
    """The first plan of an id stays, whatever comes to the topic; another request or detector is refused by name."""
    _send(scene, ["a-1"])
    plan = _plan(scene, "once")
    _send(scene, ["a-2"])
    assert _plan(scene, "once") == plan
    with pytest.raises(SettingsError, match="to_live_topic"):
        _plan(scene, "once", to_live_topic=True)
    other = TrivialPipeline(DetectorIdentity("trivial", "2", "11" * 32, "1"))
    with pytest.raises(SettingsError, match="trivial 2"):
        run_replay(scene.settings, plan, other)  # type: ignore[arg-type]


def test_rate_is_kept(scene: Scene) -> None:
    """Twelve deliveries at four a second take two seconds at least: the first second's worth is there at once."""
    _send(scene, [f"a-{number}" for number in range(12)])
    pipeline = TrivialPipeline()
    plan = _plan(scene, "slow")
    began = time.monotonic()
    ending = run_replay(scene.settings, plan, pipeline, restraint=Restraint(per_second=4))  # type: ignore[arg-type]
    assert ending.progress.is_complete
    assert len(pipeline.judged) == 12
    assert time.monotonic() - began > 2


def test_live_work_goes_first(scene: Scene) -> None:
    """While the live group lags nothing is judged, however long; once it has caught up the replay goes on."""
    ids = [f"a-{number}" for number in range(20)]
    _send(scene, ids)
    plan, pipeline = _plan(scene, "patient"), TrivialPipeline()
    waited: list[str] = []

    def catch_up() -> None:
        live = Consumer({"bootstrap.servers": scene.bootstrap, "group.id": scene.settings.kafka_group_id})
        topic = scene.settings.deliveries_topic
        ends = [live.get_watermark_offsets(TopicPartition(topic, each), 10)[1] for each in range(PARTITIONS)]
        live.commit(offsets=[TopicPartition(topic, *each) for each in enumerate(ends)], asynchronous=False)
        live.close()

    def report(_progress: Progress, waits_for: str | None) -> None:
        if waits_for is not None and "live lag 24 is above" in waits_for:
            waited.append(waits_for)
            if len(waited) == 2:
                assert pipeline.judged == []
                catch_up()

    restraint = Restraint(hold_above_lag=4)
    ending = run_replay(scene.settings, plan, pipeline, restraint=restraint, report=report)  # type: ignore[arg-type]
    assert len(waited) >= 2
    assert ending.progress.is_complete
    assert scene.judged(scene.settings.replay_verdicts_topic) == sorted(ids)


def test_two_replays_are_compared(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By command: planned, done, and compared event by event, as text, CSV and JSON."""
    for name, value in scene.environment.items():
        monkeypatch.setenv(name, value)
    _send(scene, [f"a-{number}" for number in range(6)])
    _send(scene, ["loud-1", "loud-2"])
    deaf = TrivialPipeline(DetectorIdentity("deaf", "1", "11" * 32, "1"))
    monkeypatch.setattr(deaf, "judge", lambda *_: dataclasses.replace(ACCEPT, probability=0.4))
    run_replay(scene.settings, _plan(scene, "deaf", detector=deaf.identity), deaf)  # type: ignore[arg-type]
    run_replay(scene.settings, _plan(scene, "keen", offsets=("1/0-", "3/0-", "0/0-")), TrivialPipeline())  # type: ignore[arg-type]
    runner = CliRunner()

    def lossgate(*arguments: str) -> list[str]:
        result = runner.invoke(app, ["replay", *arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout.splitlines()

    assert [line.split()[0] for line in lossgate("status")] == ["deaf", "keen"]
    assert all(line.endswith("done") for line in lossgate("status"))
    text = lossgate("diff", "deaf", "keen")
    # Partition 2 is not in the second one's range: what lies there is no difference.
    assert text[:5] == [
        "7 events judged by both deaf and keen",
        "         2  accept → reject",
        "         5  accept, unchanged",
        "         0  only in deaf",
        "         0  only in keen",
    ]
    assert "0.400 → 0.980" in text[6]
    assert "loud-1" in text[6]
    rows = list(csv.DictReader(lossgate("diff", "deaf", "keen", "--format", "csv", "--changed")))
    assert [(each["delivery_id"], each["right_decision"]) for each in rows] == [
        ("loud-1", "reject"),
        ("loud-2", "reject"),
    ]
    objects = [json.loads(line) for line in lossgate("diff", "live", "keen", "--format", "json")]
    assert len(objects) == 7
    assert {each["left"] for each in objects} == {None}
