"""The consumer that ends: what the intake gets to see of a partition."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from worker.kafka.membership import MemberConsumer
from worker.replay.bounded_consumer import BoundedConsumer
from worker.replay.ranges import OffsetRange

EOF = KafkaError(KafkaError._PARTITION_EOF)


@dataclass
class _Polled:
    at: tuple[int, int]  # partition, offset
    problem: KafkaError | None = None

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]

    def error(self) -> KafkaError | None:
        return self.problem


class _Broker:
    """What comes from below, and what is asked of it."""

    def __init__(self) -> None:
        self.messages: deque[_Polled] = deque()
        self.paused: list[int] = []
        self.resumed: list[int] = []
        self.sought: list[tuple[int, int]] = []
        self.on_assign: Any = None


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> _Broker:
    """A broker in the place of the real one."""
    broker = _Broker()
    does: dict[str, Any] = {
        "poll": lambda _self, _timeout: broker.messages.popleft() if broker.messages else None,
        "pause": lambda _self, partitions: broker.paused.extend(each.partition for each in partitions),
        "resume": lambda _self, partitions: broker.resumed.extend(each.partition for each in partitions),
        "seek": lambda _self, to: broker.sought.append((to.partition, to.offset)),
        "subscribe": lambda _self, _topics, *, on_assign: setattr(broker, "on_assign", on_assign),
    }
    for name, function in does.items():
        monkeypatch.setattr(MemberConsumer, name, function, raising=False)
    return broker


@pytest.fixture
def consumer(broker: _Broker) -> BoundedConsumer:
    """Reads offsets 10 to 19 of partition 0, and 0 to 4 of partition 1."""
    config = {"bootstrap.servers": "localhost:1", "group.id": "g", "log_level": 0}
    made = BoundedConsumer(config, "t", {0: OffsetRange(10, 20), 1: OffsetRange(0, 5)})
    made.subscribe(["t"], on_assign=lambda _consumer, _partitions: None)
    assert broker.on_assign is not None
    return made


def _seen(consumer: BoundedConsumer, broker: _Broker, *polled: _Polled) -> list[tuple[int, int]]:
    broker.messages.extend(polled)
    return [message.at for message in (consumer.poll(0) for _ in polled) if message is not None]


def test_only_the_range_is_seen(consumer: BoundedConsumer, broker: _Broker) -> None:
    """What lies before is jumped over once, what lies behind pauses the partition, what is not planned too."""
    polled = [_Polled(at) for at in ((0, 0), (0, 1), (0, 10), (0, 19), (0, 20), (0, 21), (7, 0), (1, 0))]
    assert _seen(consumer, broker, *polled) == [(0, 10), (0, 19), (1, 0)]
    assert broker.sought == [(0, 10)]
    assert broker.paused == [0, 7]
    consumer.resume([TopicPartition("t", each) for each in (0, 1, 7)])
    assert broker.resumed == [1], "a partition that was read to its end must stay paused"


def test_the_end_of_the_log_ends_a_range_only_behind_it(consumer: BoundedConsumer, broker: _Broker) -> None:
    """A transaction that is still open at the end of the topic holds events of the range back."""
    assert _seen(consumer, broker, _Polled((0, 12)), _Polled((0, 13), EOF)) == [(0, 12)]
    assert broker.paused == []
    assert _seen(consumer, broker, _Polled((0, 20), EOF)) == []
    assert broker.paused == [0]
    assert consumer.newly_ended() == [(0, 19)]
    assert consumer.newly_ended() == []


def test_an_end_that_holds_an_event_needs_no_mark(consumer: BoundedConsumer, broker: _Broker) -> None:
    """Its outcome commits the end; a second entry for the same offset would begin the partition anew."""
    _seen(consumer, broker, _Polled((0, 19)), _Polled((0, 20)), _Polled((7, 0)))
    assert consumer.newly_ended() == []


def test_a_partition_that_comes_back_is_read_anew(consumer: BoundedConsumer, broker: _Broker) -> None:
    """Another process may have read it meanwhile, less far than this one had."""
    _seen(consumer, broker, _Polled((0, 15)), _Polled((0, 20), EOF))
    consumer.newly_ended()
    broker.on_assign(consumer, [TopicPartition("t", 0)])
    assert _seen(consumer, broker, _Polled((0, 12)), _Polled((0, 20), EOF)) == [(0, 12)]
    assert consumer.newly_ended() == [(0, 19)]


def test_errors_go_through(consumer: BoundedConsumer, broker: _Broker) -> None:
    """The intake decides what a broker's error means; the end of a partition is none."""
    problem = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    assert _seen(consumer, broker, _Polled((0, 0), problem)) == [(0, 0)]
