"""Reads from Kafka what the audit compares."""

from collections import Counter
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos.audit import Event, Kind, Outcome, Partition, Place, Postponed
from tests.chaos.events import KIND_HEADER, NAME_HEADER
from tests.integration.support import Topics, committed
from worker.kafka.retry_headers import read_retry_headers
from worker.kafka.wire import Wire
from worker.records import Coordinates

_ANSWER_S = 1.0  # the keeper asks, and must not be held up for long while the broker is away


class Offsets:
    """Asks for a group's committed offsets, without joining it.

    Args:
        bootstrap: the broker.
        group: whose.
        topics: what the group reads.
        partitions: how many each has.
    """

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
        self._partitions = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]

    def committed(self) -> dict[Partition, int] | None:
        """Return the offsets; None while the broker does not say."""
        try:
            answers = self._consumer.committed(self._partitions, timeout=_ANSWER_S)
        except KafkaException:
            return None
        return {(each.topic, each.partition): each.offset for each in answers if each.offset >= 0}

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()


def read_events(bootstrap: str, topic: str) -> list[Event]:
    """Read the deliveries topic from its start."""
    events = []
    for message in committed(bootstrap, topic):
        headers = dict(message.headers())
        place = (topic, message.partition(), message.offset())
        events.append(Event(place, headers[NAME_HEADER].decode(), Kind(headers[KIND_HEADER].decode())))
    return events


def read_postponed(bootstrap: str, topic: str) -> list[Postponed]:
    """Read the retries topic from its start."""
    postponed = []
    for message in committed(bootstrap, topic):
        stamp, _own = read_retry_headers(tuple(message.headers()))
        place = (topic, message.partition(), message.offset())
        postponed.append(Postponed(place, _place(stamp.origin), stamp.attempt))
    return postponed


def read_outcomes(bootstrap: str, topics: Topics, wire: Wire) -> tuple[list[Outcome], Counter[str]]:
    """Read verdicts and dead letters from their start; also what they say, counted."""
    outcomes: list[Outcome] = []
    reasons: Counter[str] = Counter()
    for message in committed(bootstrap, topics.verdicts):
        verdict = wire.decode_verdict(message.value())
        reasons[f"{verdict.judgement.decision} {verdict.judgement.reason}"] += 1
        outcomes.append(Outcome(_place(verdict.source), Kind.VERDICT, message.partition(), message.offset()))
    for message in committed(bootstrap, topics.dead_letters):
        letter = wire.decode_dead_letter(message.value())
        reasons[f"dead letter {letter.reason}"] += 1
        outcomes.append(Outcome(_place(letter.source), Kind.DEAD_LETTER, message.partition(), message.offset()))
    return outcomes, reasons


def _place(source: Coordinates) -> Place:
    return source.topic, source.partition, source.offset
