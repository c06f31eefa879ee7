"""A consumer that shows the intake the offsets of a plan and nothing else.

The intake that polls it knows nothing of ranges: what lies before them is jumped over, what lies behind is dropped,
and a partition that has been read to the end of its range stays paused.
All of it happens on the poll thread.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from worker.kafka.membership import MemberConsumer
from worker.replay.ranges import Ranges

OnPartitions = Callable[[Consumer, list[TopicPartition]], None]


class BoundedConsumer(MemberConsumer):
    """Group member that reads ranges.

    Args:
        config: with `enable.partition.eof`.
        topic: the one that is subscribed to.
        ranges: what to read of it.
    """

    def __init__(self, config: Mapping[str, Any], topic: str, ranges: Ranges) -> None:
        super().__init__(config)
        self._topic = topic
        self._ranges = ranges
        self._last: dict[int, int] = {}  # offset shown last, of this assignment
        self._sought: set[int] = set()
        self._ended: set[int] = set()
        self._to_mark: list[int] = []

    def subscribe(self, topics: list[str], *, on_assign: OnPartitions, **callbacks: OnPartitions) -> None:
        """Subscribe; a partition that comes is read from where it was committed, whoever read it before."""

        def begin(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            for each in partitions:
                self._last.pop(each.partition, None)
                self._sought.discard(each.partition)
                self._ended.discard(each.partition)
            on_assign(consumer, partitions)

        super().subscribe(topics, on_assign=begin, **callbacks)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Resume those that have not been read to their end."""
        super().resume([each for each in partitions if each.partition not in self._ended])

    def poll(self, timeout: float = -1) -> Message | None:
        """Return the next event of a range, or an error that is not the end of a partition."""
        message = super().poll(timeout)
        if message is None:
            return None
        partition, offset, error = message.partition(), message.offset(), message.error()
        within = self._ranges.get(partition)
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 -- that is its public name
                return message
            if within is None or offset >= within.end:
                self._end(partition)
            return None
        if within is None or offset >= within.end:
            self._end(partition)
            return None
        if offset < within.start:
            self._jump(partition, within.start)
            return None
        self._last[partition] = offset
        return message

    def newly_ended(self) -> list[tuple[int, int]]:
        """Return the partitions read to their end since the last call, with the last offset of their range.

        Only those whose last event stands before it: the offsets behind it hold no event, so that no outcome
        would ever commit them.
        """
        ended = [(partition, self._ranges[partition].end - 1) for partition in self._to_mark]
        self._to_mark.clear()
        return [(partition, last) for partition, last in ended if self._last.get(partition, -1) < last]

    def _jump(self, partition: int, start: int) -> None:
        if partition in self._sought:
            return
        self._sought.add(partition)
        try:
            self.seek(TopicPartition(self._topic, partition, start))
        except KafkaException:
            return  # what lies before is read and dropped

    def _end(self, partition: int) -> None:
        if partition in self._ended:
            return
        self._ended.add(partition)
        self.pause([TopicPartition(self._topic, partition)])
        if partition in self._ranges:
            self._to_mark.append(partition)
