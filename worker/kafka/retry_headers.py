"""The headers of an event on the retries topic: which try it is, when it is due, where it first stood.  Pure.

They come last; an event on any other topic may carry the same names, and nobody reads them there.
Whoever may write to the topic can write them, so they are checked like anything else from outside.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from worker.constants import (
    RETRY_ATTEMPT_HEADER,
    RETRY_NOT_BEFORE_HEADER,
    RETRY_SOURCE_HEADER,
    RETRY_TIMESTAMP_HEADER,
)
from worker.exceptions import BadEventError
from worker.kafka.avro_records import time_of
from worker.records import Coordinates, DeadLetterReason

Headers = tuple[tuple[str, bytes | None], ...]

_ATTEMPT: Final = re.compile(rb"[1-9][0-9]{0,3}")
_MILLISECONDS: Final = re.compile(rb"[0-9]{1,15}")
_SOURCE: Final = re.compile(rb"([A-Za-z0-9._-]{1,249})/([0-9]{1,10})/([0-9]{1,19})")  # what Kafka allows a topic
_MAX_PARTITION: Final = 2**31 - 1
_MAX_OFFSET: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RetryStamp:
    """What we wrote of an event when it was put on the retries topic.

    Args:
        attempt: its later tries, counted from 1.
        not_before_ms: Unix time before which it is not to be tried, ms.
        origin: where it first stood.
    """

    attempt: int
    not_before_ms: int
    origin: Coordinates

    def headers(self) -> Headers:
        """Headers to add to the event's own."""
        origin = self.origin
        return (
            (RETRY_ATTEMPT_HEADER, str(self.attempt).encode()),
            (RETRY_NOT_BEFORE_HEADER, str(self.not_before_ms).encode()),
            (RETRY_SOURCE_HEADER, f"{origin.topic}/{origin.partition}/{origin.offset}".encode()),
            (RETRY_TIMESTAMP_HEADER, _to_ms(origin.timestamp)),
        )


_NAMES: Final = (RETRY_ATTEMPT_HEADER, RETRY_NOT_BEFORE_HEADER, RETRY_SOURCE_HEADER, RETRY_TIMESTAMP_HEADER)


def read_retry_headers(headers: Headers) -> tuple[RetryStamp, Headers]:
    """Read what we wrote; return it and the event's own headers.

    Raises:
        BadEventError: the last four headers are not ours, or make no sense.
    """
    own, ours = headers[: -len(_NAMES)], headers[-len(_NAMES) :]
    if tuple(name for name, _ in ours) != _NAMES:
        raise _bad(f"its last headers are not {', '.join(_NAMES)}")
    attempt, not_before, source, timestamp = (content or b"" for _, content in ours)
    if not _ATTEMPT.fullmatch(attempt):
        raise _bad(f"{RETRY_ATTEMPT_HEADER} is not a number from 1 to 9999")
    if not _MILLISECONDS.fullmatch(not_before):
        raise _bad(f"{RETRY_NOT_BEFORE_HEADER} is not a time in milliseconds")
    return RetryStamp(int(attempt), int(not_before), _origin(source, timestamp)), own


def _origin(source: bytes, timestamp: bytes) -> Coordinates:
    parts = _SOURCE.fullmatch(source)
    if parts is None or int(parts[2]) > _MAX_PARTITION or int(parts[3]) > _MAX_OFFSET:
        raise _bad(f"{RETRY_SOURCE_HEADER} is not topic/partition/offset")
    if timestamp and not _MILLISECONDS.fullmatch(timestamp):
        raise _bad(f"{RETRY_TIMESTAMP_HEADER} is not a time in milliseconds")
    time = time_of(int(timestamp)) if timestamp else None
    return Coordinates(parts[1].decode(), int(parts[2]), int(parts[3]), time)


def _to_ms(time: datetime | None) -> bytes:
    return b"" if time is None else str(round(time.timestamp() * 1000)).encode()


def _bad(what: str) -> BadEventError:
    return BadEventError(
        DeadLetterReason.INVALID_VALUE, f"The event stands on the retries topic, but {what}; only workers write there."
    )
