"""Reads one topic from outside the worker, for the commands.

Committed transactions only; no consumer group is joined and no offset stored, so reading disturbs nobody.
"""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from worker.cli.topics import bounds_of, partitions_of
from worker.exceptions import LossgateError
from worker.kafka.client_config import make_consumer, reader_config
from worker.settings import Settings

_POLL_S = 0.2
_SILENCE_LIMIT_S = 30.0  # without a record and without the end of the topic
_ANSWER_DEADLINE_S = 10.0


class TopicReader:
    """Reads records.  A context manager.

    Args:
        settings: where Kafka is.
        topic: what to read.
        variable: the setting that names the topic, for complaints.

    Raises:
        LossgateError: Kafka does not answer or the topic does not exist.
    """

    def __init__(self, settings: Settings, topic: str, variable: str) -> None:
        self._topic = topic
        self._servers = settings.kafka_bootstrap_servers
        self._consumer = make_consumer(reader_config(settings))
        self._ended: set[int] = set()
        self._read: set[int] = set()
        self._silent_s = 0.0
        try:
            self._partitions = partitions_of(self._consumer, topic, variable, settings)
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    @property
    def partitions(self) -> int:
        """How many partitions the topic has."""
        return len(self._partitions)

    @property
    def at_end(self) -> bool:
        """Whether everything committed so far has been read."""
        return self._ended >= self._read

    def bounds(self) -> dict[int, tuple[int, int]]:
        """Return the first offset of each partition and the one after its last."""
        return {partition: bounds_of(self._consumer, self._topic, partition) for partition in sorted(self._partitions)}

    def offsets_at(self, timestamp_ms: int) -> dict[int, int]:
        """Return the first offset of each partition that was written at a time or later, for `start`.

        Where none was, it is Kafka's own -1 for the end.

        Raises:
            LossgateError: Kafka does not say.
        """
        asked = [TopicPartition(self._topic, partition, timestamp_ms) for partition in sorted(self._partitions)]
        try:
            answers = self._consumer.offsets_for_times(asked, timeout=_ANSWER_DEADLINE_S)
        except KafkaException as error:
            raise LossgateError(f"{self._topic} can't be read: {error.args[0].str()}") from error
        return {each.partition: each.offset for each in answers}

    def start(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets, those partitions only."""
        self._ended.clear()
        self._read = set(offsets)
        self._silent_s = 0.0
        self._consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()])

    def rest(self) -> Iterator[Message]:
        """Yield records until everything committed so far has been read.

        Raises:
            LossgateError: Kafka fell silent, or the topic can't be read.
        """
        while not self.at_end:
            if (message := self.poll()) is not None:
                yield message
            elif self._silent_s > _SILENCE_LIMIT_S:
                raise LossgateError(f"Kafka at {self._servers} fell silent while {self._topic} was read.")

    def between(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
        """Yield the records of an earlier answer of `bounds`, and none that came later.

        Raises:
            LossgateError: as `rest`.
        """
        self.start({partition: low for partition, (low, high) in bounds.items() if low < high})
        for message in self.rest():
            if message.offset() < bounds[message.partition()][1]:
                yield message
            else:
                self._ended.add(message.partition())

    def poll(self, timeout_s: float = _POLL_S) -> Message | None:
        """Return the next record, or None where none came in time.

        Raises:
            LossgateError: the topic can't be read.
        """
        message = self._consumer.poll(timeout_s)
        if message is None:
            self._silent_s += timeout_s
            return None
        self._silent_s = 0.0
        if (error := message.error()) is None:
            self._ended.discard(message.partition())
            return message
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- that is its public name
            raise LossgateError(f"{self._topic} can't be read: {error.str()}")
        self._ended.add(message.partition())
        return None
