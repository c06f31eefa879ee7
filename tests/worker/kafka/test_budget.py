"""The budget: pauses before the brim, resumes with room to spare, loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.budget import Budget


def test_pauses_on_count() -> None:
    """The number of deliveries in flight is bounded, however small they are."""
    budget = Budget(max_count=4, max_bytes=1_000)
    for _ in range(4):
        assert not budget.should_pause()
        budget.reserve(1)
    assert budget.should_pause()


def test_pauses_before_the_next_delivery_would_exceed_the_bytes() -> None:
    """Memory stays under the limit: the pause comes before the delivery that would break it."""
    budget = Budget(max_count=100, max_bytes=100, step_bytes=40)
    budget.reserve(40)
    assert not budget.should_pause()
    budget.reserve(40)
    assert budget.should_pause()


def test_resumes_with_room_to_spare() -> None:
    """The intake does not flap between pause and resume at the brim."""
    budget = Budget(max_count=4, max_bytes=100)
    for _ in range(4):
        budget.reserve(10)
    assert not budget.should_resume()
    budget.release(10)
    assert budget.should_resume()
    budget.reserve(50)
    assert not budget.should_resume()


def test_a_delivery_above_the_limit_goes_alone() -> None:
    """A limit smaller than one delivery slows the worker down; it does not stop it for ever."""
    budget = Budget(max_count=10, max_bytes=10, step_bytes=50)
    assert budget.should_resume()
    assert not budget.should_pause()
    budget.reserve(50)
    assert budget.should_pause()
    assert not budget.should_resume()
    budget.release(50)
    assert budget.should_resume()


def test_releasing_more_than_was_reserved_is_an_error() -> None:
    """A delivery released two times shows at once, not as a slow leak of the limit."""
    budget = Budget(2, 10)
    budget.reserve(3)
    budget.release(3)
    with pytest.raises(ValueError, match="more released than reserved"):
        budget.release(3)


@given(st.integers(1, 5), st.integers(1, 100), st.integers(0, 120), st.lists(st.integers(0, 50)))
def test_paused_and_resumed_exclude_each_other(count: int, size: int, step: int, reserved: list[int]) -> None:
    """At no level do both apply, so the intake always settles."""
    budget = Budget(count, size, step)
    for each in reserved:
        budget.reserve(each)
        assert not (budget.should_pause() and budget.should_resume())
