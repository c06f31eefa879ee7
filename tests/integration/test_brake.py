"""The dead-letter brake on a real broker: a topic of garbage stays where it is."""

import time

import pytest

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, committed, publish
from tests.integration.test_transactions import PARTITIONS, _lag, _settings
from tests.integration.trivial_worker import TrivialWorker
from worker.exceptions import BrakeError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

GARBAGE = 300
MOST = 20


def _run_until_stopped(worker: TrivialWorker) -> None:
    deadline = time.monotonic() + 60
    with worker:
        while not worker.brake.is_engaged:
            assert worker.failure is None
            assert time.monotonic() < deadline, "the brake did not engage"
            time.sleep(0.05)
        assert len(worker.ledger.partitions) == PARTITIONS
        assert worker.failure is None


def test_a_topic_of_garbage_is_not_emptied(local_kafka: LocalKafka, topics: Topics) -> None:
    """The worker writes a few dead letters at most, keeps its partitions while it waits, and ends with an error.

    After a restart it tries again, and stops again.
    """
    settings = _settings(local_kafka, topics, brake_dead_letters=MOST, brake_window=2 * MOST)
    publish(local_kafka.bootstrap_servers, topics.deliveries, [b"garbage"] * GARBAGE, PARTITIONS)
    for life in (1, 2):
        worker = TrivialWorker(settings)
        with pytest.raises(BrakeError):
            _run_until_stopped(worker)
        assert len(committed(local_kafka.bootstrap_servers, topics.dead_letters)) <= life * MOST
    written = len(committed(local_kafka.bootstrap_servers, topics.dead_letters))
    assert _lag(local_kafka, settings) == GARBAGE - written
