"""Reads where a consumer group stands, without joining it."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, TopicPartition

from worker.exceptions import TransientError
from worker.kafka.client_config import ClientConfig, make_consumer, reader_config
from worker.settings import Settings

_TIMEOUT_S: Final = 10.0


class GroupOffsets:
    """Committed offsets of a group on one topic.  A context manager; for one thread.

    Args:
        settings: where Kafka is.
        group_id: the group.
        topic: the topic.
    """

    def __init__(self, settings: Settings, group_id: str, topic: str) -> None:
        self._group_id = group_id
        self._topic = topic
        self._consumer = make_consumer(ClientConfig({**reader_config(settings), "group.id": group_id}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def committed(self, partitions: list[int]) -> dict[int, int | None]:
        """Return the committed offset of each partition; None where there is none.

        Raises:
            TransientError: the brokers don't say.
        """
        try:
            found = self._consumer.committed([TopicPartition(self._topic, each) for each in partitions], _TIMEOUT_S)
        except KafkaException as error:
            raise self._unknown(error.args[0].str()) from error
        for each in found:
            if each.error is not None:
                raise self._unknown(each.error.str())
        return {each.partition: each.offset if each.offset >= 0 else None for each in found}

    def lag(self) -> int:
        """Return how many offsets of the topic the group has not committed; all of them where it has committed none.

        Raises:
            TransientError: the brokers don't say.
        """
        try:
            partitions = sorted(self._consumer.list_topics(self._topic, _TIMEOUT_S).topics[self._topic].partitions)
            committed = self.committed(partitions)
            lag = 0
            for partition in partitions:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), _TIMEOUT_S)
                lag += max(0, high - max(low, committed[partition] or 0))
        except KafkaException as error:
            raise self._unknown(error.args[0].str()) from error
        return lag

    def _unknown(self, why: str) -> TransientError:
        return TransientError(f"Where group {self._group_id} stands on {self._topic} can't be read: {why}")
