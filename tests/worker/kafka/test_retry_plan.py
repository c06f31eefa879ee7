"""Which deliveries are tried again, and how long they wait."""

import dataclasses

import pytest

from tests.worker.kafka.records_for_tests import VERDICT
from worker.constants import MAX_EVENT_BYTES
from worker.kafka.event import Event
from worker.kafka.not_due import NotDue
from worker.kafka.retry_headers import RetryStamp
from worker.kafka.retry_plan import Postponed, RetryPlan
from worker.records import Coordinates, Decision, FetchFault, Judgement, Reason, Verdict

PLAN = RetryPlan(attempts=2, delay_s=60)
SOURCE = Coordinates("deliveries", 1, 7)


def _verdict(passing: FetchFault | None) -> Verdict:
    judgement = Judgement(Decision.REVIEW, Reason.FETCH_FAILED, "The server says 503.", passing=passing)
    return dataclasses.replace(VERDICT, judgement=judgement)


def _event(attempt: int = 0, due_s: float = 0, partition: int = 0, offset: int = 0, value: bytes = b"v") -> Event:
    stamp = RetryStamp(attempt, round(due_s * 1000), SOURCE) if attempt else None
    return Event(Coordinates("retries", partition, offset), b"k", value, (("trace", b"1"),), stamp)


@pytest.mark.parametrize(("attempt", "next_attempt"), [(0, 1), (1, 2), (2, None), (9, None)])
def test_a_passing_fault_is_tried_again_so_many_times(attempt: int, next_attempt: int | None) -> None:
    """The attempts are counted through, and the last one ends in its verdict."""
    event, verdict = _event(attempt), _verdict(FetchFault.STORE)
    outcome = PLAN.outcome(event, verdict)
    if next_attempt is None:
        assert outcome is verdict
    else:
        assert outcome == Postponed(event, next_attempt, FetchFault.STORE, verdict)


def test_what_will_not_pass_is_never_tried_again() -> None:
    """A verdict without a passing fault is the outcome; and with no attempts at all every verdict is."""
    assert PLAN.outcome(_event(), verdict := _verdict(None)) is verdict
    assert RetryPlan(0, 60).outcome(_event(), verdict := _verdict(FetchFault.SLOW)) is verdict


def test_headers_name_the_first_place_however_often() -> None:
    """On each round the stamp is written anew, the event's own headers stay, and the origin stays the first one."""
    first = Postponed(_event(0, offset=5), 1, FetchFault.SLOW, VERDICT).headers(123)
    assert first == (("trace", b"1"), *RetryStamp(1, 123, Coordinates("retries", 0, 5)).headers())
    second = Postponed(_event(1, offset=9), 2, FetchFault.SLOW, VERDICT).headers(456)
    assert second == (("trace", b"1"), *RetryStamp(2, 456, SOURCE).headers())


@pytest.mark.parametrize(
    ("due_s", "now_s", "wait_s"),
    [(100, 90, 10), (100, 100, 0), (100, 5_000, 0), (10**11, 90, 60), (0, 90, 0)],
)
def test_waits_until_due_but_never_longer_than_the_delay(due_s: float, now_s: float, wait_s: float) -> None:
    """A far-off time, from a wrong clock or a forged header, can't hold a partition up for good."""
    assert PLAN.wait_s(_event(1, due_s), now_s) == wait_s


def test_what_becomes_a_dead_letter_does_not_wait() -> None:
    """An event without a stamp, or too large to be kept, is taken at once."""
    assert PLAN.wait_s(_event(0), 0) == 0
    assert PLAN.wait_s(_event(1, 50, value=bytes(MAX_EVENT_BYTES + 1)), 0) == 0


class _Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_events_wait_in_order() -> None:
    """The first of a partition holds up what is behind it, due or not, and no other partition."""
    clock, wall = _Clock(), _Clock()
    waiting = NotDue(PLAN, wall, clock)
    late, behind, other = _event(1, 30, 0, 1), _event(1, 10, 0, 2), _event(1, 20, 1, 1)
    assert waiting.keep(late)
    assert waiting.keep(behind)
    assert waiting.keep(other)
    assert not waiting.keep(_event(1, 0, 2))
    assert waiting.partitions == {("retries", 0), ("retries", 1)}
    assert waiting.next_due() is None
    clock.now = 20
    assert waiting.next_due() is other
    assert waiting.next_due() is None
    clock.now = 30
    assert waiting.next_due() is late
    assert waiting.partitions == {("retries", 0)}
    assert waiting.next_due() is behind
    assert waiting.partitions == frozenset()


def test_a_clock_that_is_set_does_not_make_them_wait_longer() -> None:
    """Once an event waits, only the time that really passes counts."""
    clock, wall = _Clock(), _Clock()
    waiting = NotDue(PLAN, wall, clock)
    waiting.keep(_event(1, 30))
    wall.now, clock.now = -1e6, 30
    assert waiting.next_due() is not None


def test_waiting_events_go_with_their_partition() -> None:
    """A partition that is given up takes its events along."""
    waiting = NotDue(PLAN, _Clock(), _Clock())
    waiting.keep(_event(1, 30))
    waiting.forget([("retries", 0), ("retries", 5)])
    assert waiting.partitions == frozenset()
