"""The headers of the retries topic: what is written is read back, and nothing else is believed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.exceptions import BadEventError
from worker.kafka.retry_headers import Headers, RetryStamp, read_retry_headers
from worker.records import Coordinates, DeadLetterReason

TIME = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)
STAMP = RetryStamp(2, 1_800_000_000_000, Coordinates("lossgate.deliveries", 3, 42, TIME))
OWN: Headers = (("trace", b"\x01"), ("lossgate-retry-attempt", b"as the sender wrote it"), ("trace", None))


@given(
    attempt=st.integers(1, 9999),
    not_before_ms=st.integers(0, 10**15 - 1),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    time=st.sampled_from([None, TIME]),
)
def test_round_trip(attempt: int, not_before_ms: int, partition: int, offset: int, time: datetime | None) -> None:
    """Whatever is stamped is read back, and the event's own headers stay as they were, names like ours included."""
    stamp = RetryStamp(attempt, not_before_ms, Coordinates("a.b_c-D", partition, offset, time))
    assert read_retry_headers((*OWN, *stamp.headers())) == (stamp, OWN)


def _with(number: int, name: str | None = None, content: bytes | None = b"1") -> Headers:
    """The right headers but one."""
    headers = list(STAMP.headers())
    headers[number] = (headers[number][0] if name is None else name, content)
    return tuple(headers)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        OWN,
        STAMP.headers()[:3],
        (*STAMP.headers(), ("one-more", b"")),
        tuple(reversed(STAMP.headers())),
        _with(0, name="other"),
        *(_with(0, content=content) for content in (None, b"", b"0", b"-1", b"1.0", b"99999", b" 1", "²".encode())),
        *(_with(1, content=content) for content in (None, b"", b"soon", b"9" * 16, b"-5", b"NaN")),
        *(
            _with(2, content=content)
            for content in (
                None,
                b"",
                b"topic/1",
                b"../../etc/1/2",
                b"topic/1/x",
                b"topic/2147483648/0",
                b"topic/0/9223372036854775808",
                b"x" * 250 + b"/0/0",
                b"topic/0/0\n",
            )
        ),
        *(_with(3, content=content) for content in (b"yesterday", b"-1", b"1" * 16)),
    ],
)
def test_garbage_is_refused(headers: Headers) -> None:
    """Missing, moved, empty, huge, negative and malformed headers all end in a dead letter that says which."""
    with pytest.raises(BadEventError, match="retries topic") as caught:
        read_retry_headers(headers)
    assert caught.value.reason is DeadLetterReason.INVALID_VALUE


@given(st.lists(st.tuples(st.sampled_from([*(name for name, _ in STAMP.headers()), "x"]), st.none() | st.binary())))
def test_nothing_else_is_raised(headers: list[tuple[str, bytes | None]]) -> None:
    """Arbitrary bytes under our names end in a stamp or in a bad event, never in a fault."""
    try:
        stamp, _ = read_retry_headers(tuple(headers))
    except BadEventError:
        return
    assert stamp.attempt >= 1


def test_an_insane_timestamp_is_none() -> None:
    """Years beyond what a verdict can carry are left out."""
    stamp, _ = read_retry_headers(_with(3, content=b"999999999999999"))
    assert stamp.origin.timestamp is None
