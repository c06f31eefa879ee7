"""A delivery that ends the process each time: quarantined after a few deaths, and nobody else pays for it."""

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, committed, publish, read_dead_letters, read_verdicts
from tests.integration.test_transactions import _lag, _process, _settings
from tests.integration.trivial_worker import KILLER, TrivialWorker
from worker.kafka.wire import Wire
from worker.records import DeadLetterReason, Delivery
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PARTITIONS = 4
COUNT = 40
CULPRIT = 21  # in partition 1, with neighbours before and behind


def _send_with_culprit(kafka: LocalKafka, topics: Topics) -> list[str]:
    """Send deliveries of which one ends the process; return the ids of the others."""
    wire = Wire(Settings(_env_file=None))
    deliveries = [
        Delivery(uuid4(), f"delivery-{n}", f"/in/{n}.flac", KILLER if n == CULPRIT else "label", datetime.now(UTC))
        for n in range(COUNT)
    ]
    publish(kafka.bootstrap_servers, topics.deliveries, [wire.encode_delivery(each) for each in deliveries], PARTITIONS)
    return [each.delivery_id for each in deliveries if each.provider != KILLER]


def _assert_all_settled(kafka: LocalKafka, topics: Topics, innocent: list[str]) -> None:
    wire = Wire(Settings(_env_file=None))
    verdicts = read_verdicts(kafka.bootstrap_servers, topics.verdicts, wire)
    assert sorted(each.delivery.delivery_id for each in verdicts) == sorted(innocent)
    (letter,) = read_dead_letters(kafka.bootstrap_servers, topics.dead_letters, wire)
    assert letter.reason == DeadLetterReason.QUARANTINED
    assert wire.decode_delivery(letter.value).delivery_id == f"delivery-{CULPRIT}"


def _is_done(kafka: LocalKafka, topics: Topics) -> bool:
    bootstrap = kafka.bootstrap_servers
    return len(committed(bootstrap, topics.verdicts)) + len(committed(bootstrap, topics.dead_letters)) >= COUNT


def _wait(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_delivery_that_kills_the_process_is_quarantined(
    local_kafka: LocalKafka, topics: Topics, tmp_path: Path
) -> None:
    """SIGKILL from within, at each try: after two deaths and one more alone it is a dead letter, others verdicts."""
    settings = _settings(local_kafka, topics, quarantine_after_deaths=1)
    innocent = _send_with_culprit(local_kafka, topics)
    deaths = 0
    while not _is_done(local_kafka, topics):
        assert deaths <= 4, "it was not quarantined"
        with _process(settings, tmp_path / f"{deaths}.log") as process:
            _wait(lambda: process.poll() is not None or _is_done(local_kafka, topics))
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
            else:
                assert process.returncode == -signal.SIGKILL, (tmp_path / f"{deaths}.log").read_text()[-2000:]
                deaths += 1
    assert deaths == 3
    _assert_all_settled(local_kafka, topics, innocent)
    assert _lag(local_kafka, settings) == 0


def _crash(delivery: Delivery) -> None:
    if delivery.provider == KILLER:
        raise RuntimeError("as if the judging had a bug")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_delivery_that_ends_each_worker_is_quarantined(
    local_kafka: LocalKafka, topics: Topics, protocol: str
) -> None:
    """A worker that ends with an error while it judges counts as a death, in both group protocols.

    The orderly stops between them count for nothing and let nothing be forgotten.
    """
    settings = _settings(local_kafka, topics, quarantine_after_deaths=1, kafka_group_protocol=protocol)
    innocent = _send_with_culprit(local_kafka, topics)
    deaths = 0
    while not _is_done(local_kafka, topics):
        assert deaths <= 4, "it was not quarantined"
        held = TrivialWorker(settings, on_delivery=_crash, drain_s=0.5)
        held.hold.clear()
        with held:
            _wait(lambda: bool(held.ledger.partitions))  # noqa: B023 -- used at once
            held.intake.stop()
        worker = TrivialWorker(settings, on_delivery=_crash)
        try:
            with worker:
                _wait(lambda: worker.failure is not None or _is_done(local_kafka, topics))  # noqa: B023 -- used at once
        except RuntimeError:
            deaths += 1
    assert deaths == 3
    _assert_all_settled(local_kafka, topics, innocent)
    assert _lag(local_kafka, settings) == 0
