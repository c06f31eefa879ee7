"""A polled event, out of librdkafka's hands."""

from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException, Message

from worker.constants import REPLAY_HEADER
from worker.exceptions import BadEventError
from worker.kafka.avro_records import MAX_ID_CHARACTERS, time_of
from worker.kafka.retry_headers import Headers, RetryStamp, read_retry_headers
from worker.records import Coordinates

_NO_HEADERS: Final[Headers] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """What was polled, and what its headers say.

    Args:
        source: where it stands; what the ledger counts by.
        key: its key.
        value: its value.
        headers: its own headers, without those of the retries topic.
        retry: what the headers of the retries topic say, on that topic.
        fault: why they can't be read, on that topic.
    """

    source: Coordinates
    key: bytes | None
    value: bytes | None
    headers: Headers = _NO_HEADERS
    retry: RetryStamp | None = None
    fault: BadEventError | None = None

    @property
    def partition(self) -> tuple[str, int]:
        """Topic and partition it stands in."""
        return self.source.topic, self.source.partition

    @property
    def origin(self) -> Coordinates:
        """Where the event first stood, however often it was put off: what its outcome names."""
        return self.source if self.retry is None else self.retry.origin

    @property
    def attempt(self) -> int:
        """How often it went through the retries topic."""
        return 0 if self.retry is None else self.retry.attempt

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name) + len(content or b"") for name, content in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    @property
    def replay_id(self) -> str | None:
        """The replay it belongs to."""
        for name, content in reversed(self.headers):  # the last one counts, as in Kafka's own clients
            if name == REPLAY_HEADER and content:
                return content.decode("utf-8", "replace")[:MAX_ID_CHARACTERS]
        return None


def event_of(message: Message, retries_topic: str | None) -> Event:
    """Take a message over; on the retries topic, with what its headers say."""
    source = Coordinates(message.topic(), message.partition(), message.offset(), time_of(message.timestamp()[1]))
    try:
        headers: Headers = tuple(message.headers() or ())
    except (UnicodeDecodeError, KafkaException):
        headers = ()  # a name that is no UTF-8 can't be told to Avro either
    if source.topic != retries_topic:
        return Event(source, message.key(), message.value(), headers)
    try:
        stamp, own = read_retry_headers(headers)
    except BadEventError as error:
        return Event(source, message.key(), message.value(), headers, fault=error)
    return Event(source, message.key(), message.value(), own, retry=stamp)
