"""The redriver against a producer that fails as told."""

from collections import deque
from uuid import UUID

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.worker.kafka.fake_producer import ABORTABLE, FATAL, RETRIABLE, FakeProducer
from worker.exceptions import LossgateError
from worker.kafka.redrive import Redrive
from worker.kafka.redriver import Redriver
from worker.settings import Settings

SETTINGS = Settings(_env_file=None)
EVENT = Redrive(UUID(int=1), "deliveries", 2, b"key", b"value", (("header", b"1"),))


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    """The redriver's producer."""
    fake = FakeProducer()
    monkeypatch.setattr("worker.kafka.redriver.make_producer", lambda _config: fake)
    return fake


@pytest.mark.parametrize("step", ["init", "commit"])
def test_brokers_that_are_away_for_a_moment_are_asked_again(producer: FakeProducer, step: str) -> None:
    """A failover in the middle of a redrive is no reason to give it up."""
    producer.faults[step] = deque([RETRIABLE, RETRIABLE])
    with Redriver(SETTINGS) as redriver:
        redriver.send([EVENT])
    assert producer.calls.count(step) == 3
    assert producer.committed == [("deliveries", b"value", b"key", [("header", b"1")])]


def test_brokers_that_stay_away_at_the_start_end_it(producer: FakeProducer) -> None:
    """A person waits for this command: it ends, and says why."""
    producer.faults["init"] = deque([RETRIABLE] * 2)
    with pytest.raises(LossgateError, match="slow"):
        Redriver(SETTINGS, deadline_s=0)
    assert producer.calls == ["init"]


@pytest.mark.parametrize("step", ["begin", "produce", "flush", "commit"])
def test_the_earlier_of_two_redrives_gives_way(producer: FakeProducer, step: str) -> None:
    """Two that go on would send each letter twice; and what a fenced producer says says nothing to a person."""
    producer.faults[step] = deque([FATAL])
    with pytest.raises(LossgateError, match="Another redrive"):
        Redriver(SETTINGS).send([EVENT])
    assert producer.committed == []
    assert "abort" not in producer.calls


def test_it_gives_way_too_where_the_client_says_so_between_two_reports(producer: FakeProducer) -> None:
    """confluent-kafka's way to say so while reports are handed over is a SystemError around the client's error."""
    error = SystemError("returned a result with an exception set")
    error.__cause__ = FATAL
    producer.faults["flush"] = deque([error])
    with pytest.raises(LossgateError, match="Another redrive"):
        Redriver(SETTINGS).send([EVENT])


def test_a_system_error_of_another_cause_is_shown_as_it_is(producer: FakeProducer) -> None:
    """It is a fault of the interpreter or a library, which a sentence about Kafka would hide."""
    producer.faults["flush"] = deque([SystemError("something else")])
    with pytest.raises(SystemError, match="something else"):
        Redriver(SETTINGS).send([EVENT])


def test_a_refused_event_is_named_and_nothing_sent(producer: FakeProducer) -> None:
    """All of a transaction or nothing: a redrive cut short can be run again."""
    producer.delivery_faults = deque([None, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not yours")])
    with pytest.raises(LossgateError, match="not yours"):
        Redriver(SETTINGS).send([EVENT, EVENT])
    assert producer.calls[-1] == "abort"
    assert producer.committed == []


def test_an_abort_that_fails_does_not_hide_why(producer: FakeProducer) -> None:
    """The brokers abort it at its timeout; the first error is the one a person can do something about."""
    producer.faults = {"commit": deque([ABORTABLE]), "abort": deque([KafkaException(KafkaError(KafkaError._STATE))])}
    with pytest.raises(LossgateError, match="stale"):
        Redriver(SETTINGS).send([EVENT])


def test_it_gives_way_too_where_a_report_says_so(producer: FakeProducer) -> None:
    """A producer fenced while its records are on their way hears of it in their delivery reports."""
    producer.delivery_faults = deque([FATAL.args[0]])
    with pytest.raises(LossgateError, match="Another redrive"):
        Redriver(SETTINGS).send([EVENT])
