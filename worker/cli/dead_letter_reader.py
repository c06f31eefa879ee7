"""Reads the dead-letters topic from outside the worker."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from worker.cli.dead_letter_choice import Choice, StoredLetter
from worker.cli.topic_reader import TopicReader
from worker.exceptions import BadEventError
from worker.kafka.wire import Wire
from worker.settings import Settings


class DeadLetterReader:
    """Reads the dead letters that stood there when it was made, as often as asked.  A context manager.

    Args:
        settings: where Kafka is, and which topic.
        wire: decodes them.

    Raises:
        LossgateError: Kafka does not answer or the topic does not exist.
    """

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self._wire = wire
        self._topic = TopicReader(settings, settings.dead_letters_topic, "LOSSGATE_DEAD_LETTERS_TOPIC")
        self._bounds = self._topic.bounds()
        self.unreadable = 0
        """Records of the topic that were no dead letters, at the last reading; they are passed over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._topic.__exit__(kind, error, trace)

    def letters(self, choice: Choice) -> Iterator[StoredLetter]:
        """Yield the chosen ones, those of a partition in the order of their offsets.

        Raises:
            LossgateError: Kafka fell silent, or the topic can't be read.
        """
        self.unreadable = 0
        for message in self._topic.between(self._bounds):
            try:
                letter = self._wire.decode_dead_letter(message.value())
            except BadEventError:
                self.unreadable += 1
                continue
            stored = StoredLetter(letter, message.partition(), message.offset())
            if choice.takes(stored):
                yield stored
