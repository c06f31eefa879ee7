"""Reads the verdicts topic from outside the worker: for `lossgate verdicts` and the demo.

Committed transactions only; no consumer group is joined and no offset stored, so reading disturbs nobody.
"""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, TopicPartition

from worker.cli.topics import bounds_of, partitions_of
from worker.exceptions import BadEventError, LossgateError
from worker.kafka.client_config import make_consumer, reader_config
from worker.kafka.wire import Wire
from worker.records import Verdict
from worker.settings import Settings

_POLL_S = 0.2
_SILENCE_LIMIT_S = 30.0  # without a verdict and without the end of the topic


class VerdictReader:
    """Reads verdicts.  A context manager.

    Args:
        settings: where Kafka is, and which topic.

    Raises:
        LossgateError: Kafka does not answer or the topic does not exist.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.verdicts_topic
        self._servers = settings.kafka_bootstrap_servers
        self._wire = Wire(settings)
        self._consumer = make_consumer(reader_config(settings))
        self._ended: set[int] = set()
        self._silent_s = 0.0
        try:
            self._partitions = partitions_of(self._consumer, self._topic, "LOSSGATE_VERDICTS_TOPIC", settings)
        except BaseException:
            self._consumer.close()
            raise
        self.unreadable = 0
        """Records of the topic that were no verdicts; they are passed over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    @property
    def at_end(self) -> bool:
        """Whether everything committed so far has been read."""
        return self._ended == self._partitions

    def start_at_beginning(self) -> None:
        """Read the topic from its first verdict."""
        self._start({partition: low for partition, (low, _high) in self._bounds().items()})

    def last(self, count: int) -> list[Verdict]:
        """Return the last verdicts, oldest first; then stand at the end.

        Offsets also number the transactions' own marks, so as many offsets from the end lie fewer verdicts:
        where they don't suffice, it looks further back.
        """
        bounds = self._bounds()
        window = 2 * count + 16
        while True:
            starts = {p: max(low, high - window) for p, (low, high) in bounds.items()}
            self._start(starts)
            found = list(self.rest())
            of_partition = {p: sum(verdict_partition == p for verdict_partition, _ in found) for p in bounds}
            if all(of_partition[p] >= count or starts[p] == low for p, (low, _high) in bounds.items()):
                verdicts = sorted((verdict for _, verdict in found), key=lambda verdict: verdict.judged_at)
                return verdicts[-count:] if count else []
            window *= 4

    def rest(self) -> Iterator[tuple[int, Verdict]]:
        """Yield verdicts with their partition until everything committed so far has been read."""
        while not self.at_end:
            if (found := self.poll()) is not None:
                yield found
            elif self._silent_s > _SILENCE_LIMIT_S:
                raise LossgateError(f"Kafka at {self._servers} fell silent while {self._topic} was read.")

    def poll(self, timeout_s: float = _POLL_S) -> tuple[int, Verdict] | None:
        """Return the next verdict with its partition, or None where none came in time."""
        message = self._consumer.poll(timeout_s)
        if message is None:
            self._silent_s += timeout_s
            return None
        self._silent_s = 0.0
        partition = int(message.partition())
        if (error := message.error()) is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- that is its public name
                self._ended.add(partition)
                return None
            raise LossgateError(f"{self._topic} can't be read: {error.str()}")
        self._ended.discard(partition)
        try:
            return partition, self._wire.decode_verdict(message.value())
        except BadEventError:
            self.unreadable += 1
            return None

    def _start(self, offsets: Mapping[int, int]) -> None:
        self._ended.clear()
        self._silent_s = 0.0
        self._consumer.assign([TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()])

    def _bounds(self) -> dict[int, tuple[int, int]]:
        return {partition: bounds_of(self._consumer, self._topic, partition) for partition in sorted(self._partitions)}
