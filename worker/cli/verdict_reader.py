"""Reads the verdicts topic from outside the worker: for `lossgate verdicts` and the demo."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from worker.cli.topic_reader import TopicReader
from worker.exceptions import BadEventError
from worker.kafka.wire import Wire
from worker.records import Verdict
from worker.settings import Settings


class VerdictReader:
    """Reads verdicts.  A context manager.

    Args:
        settings: where Kafka is, and which topic.

    Raises:
        LossgateError: Kafka does not answer or the topic does not exist.
    """

    def __init__(self, settings: Settings) -> None:
        self._wire = Wire(settings)
        self._topic = TopicReader(settings, settings.verdicts_topic, "LOSSGATE_VERDICTS_TOPIC")
        self.unreadable = 0
        """Records of the topic that were no verdicts; they are passed over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._topic.__exit__(kind, error, trace)

    @property
    def at_end(self) -> bool:
        """Whether everything committed so far has been read."""
        return self._topic.at_end

    def start_at_beginning(self) -> None:
        """Read the topic from its first verdict."""
        self._topic.start({partition: low for partition, (low, _high) in self._topic.bounds().items()})

    def last(self, count: int) -> list[Verdict]:
        """Return the last verdicts, oldest first; then stand at the end.

        Offsets also number the transactions' own marks, so as many offsets from the end lie fewer verdicts:
        where they don't suffice, it looks further back.
        """
        bounds = self._topic.bounds()
        window = 2 * count + 16
        while True:
            starts = {p: max(low, high - window) for p, (low, high) in bounds.items()}
            self._topic.start(starts)
            found = list(self.rest())
            of_partition = {p: sum(verdict_partition == p for verdict_partition, _ in found) for p in bounds}
            if all(of_partition[p] >= count or starts[p] == low for p, (low, _high) in bounds.items()):
                verdicts = sorted((verdict for _, verdict in found), key=lambda verdict: verdict.judged_at)
                return verdicts[-count:] if count else []
            window *= 4

    def rest(self) -> Iterator[tuple[int, Verdict]]:
        """Yield verdicts with their partition until everything committed so far has been read."""
        for message in self._topic.rest():
            if (found := self._decode(message)) is not None:
                yield found

    def poll(self) -> tuple[int, Verdict] | None:
        """Return the next verdict with its partition, or None where none came in time."""
        message = self._topic.poll()
        return None if message is None else self._decode(message)

    def _decode(self, message: Message) -> tuple[int, Verdict] | None:
        try:
            return int(message.partition()), self._wire.decode_verdict(message.value())
        except BadEventError:
            self.unreadable += 1
            return None
