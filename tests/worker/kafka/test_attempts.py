"""The marks in the metadata of committed offsets: what counts as a death, who is a suspect, what is forgotten when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.attempts import Mark

WINDOW = 10
COUNTS = st.integers(0, 2**63 - 1)


@given(st.builds(Mark, st.booleans(), COUNTS, COUNTS, COUNTS))
def test_marks_survive_their_metadata(mark: Mark) -> None:
    """What a worker writes, its successor reads; it fits into the 4,096 bytes that brokers take."""
    assert Mark.from_metadata(mark.to_metadata()) == mark
    assert len(mark.to_metadata()) < 200


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        "somebody else's",
        "null",
        "[]",
        "7",
        "[" * 100_000,
        '{"lossgate":2,"is_running":true,"deaths":9,"suspects_end":9,"attempts":9}',
        '{"lossgate":1,"is_running":true,"deaths":9,"suspects_end":9,"attempts":9,"more":1}',
        '{"lossgate":1,"is_running":1,"deaths":9,"suspects_end":9,"attempts":9}',
        '{"lossgate":1,"is_running":true,"deaths":true,"suspects_end":9,"attempts":9}',
        '{"lossgate":1,"is_running":true,"deaths":-1,"suspects_end":9,"attempts":9}',
        '{"lossgate":1,"is_running":true,"deaths":"9","suspects_end":9,"attempts":9}',
    ],
)
def test_metadata_of_strangers_accuse_nobody(metadata: str | None) -> None:
    """Offsets set by hand, by another program or another version say nothing; nothing in them stops the worker."""
    assert Mark.from_metadata(metadata) == Mark()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """Whatever stands there, a mark comes out."""
    assert isinstance(Mark.from_metadata(text), Mark)


def test_deployments_do_not_count() -> None:
    """Owners that go in an orderly way, however many, leave no deaths behind."""
    mark = Mark()
    for _ in range(10):
        mark = mark.taken_over(5, 5, WINDOW).released(is_unfinished=False)
    assert mark == Mark()


def test_the_second_death_among_the_same_deliveries_makes_suspects() -> None:
    """One death can have any cause; two in the same window make all that may have been at work suspects."""
    once = Mark(is_running=True).taken_over(5, 5, WINDOW)
    assert (once.deaths, once.careful_until) == (1, 0)
    moved = once.committed(9)
    assert moved.deaths == 1
    twice = moved.taken_over(9, 9, WINDOW)
    assert (twice.deaths, twice.careful_until) == (2, 9 + WINDOW)


def test_progress_forgets() -> None:
    """Once all that was at work at a death is finished, it counts no longer."""
    once = Mark(is_running=True).taken_over(5, 5, WINDOW)
    assert once.committed(5 + WINDOW) == Mark(is_running=True)
    assert once.committed(5 + WINDOW).taken_over(15, 15, WINDOW).deaths == 1
    twice = once.taken_over(5, 5, WINDOW)
    assert twice.committed(5 + WINDOW - 1).careful_until == 5 + WINDOW
    assert twice.committed(5 + WINDOW).careful_until == 0


def test_orderly_owners_in_between_forget_nothing() -> None:
    """A rebalance between two deaths does not hide the first."""
    mark = Mark(is_running=True).taken_over(5, 5, WINDOW).released(is_unfinished=False)
    mark = mark.taken_over(5, 5, WINDOW)
    assert mark.deaths == 1
    assert mark.taken_over(5, 5, WINDOW).careful_until == 5 + WINDOW


def test_attempts_belong_to_their_delivery() -> None:
    """They rise with each that is begun, fall with one that is given back unfinished, and end with its commit."""
    mark = Mark(is_running=True, deaths=2, suspects_end=50).attempted().attempted()
    assert mark.attempts == 2
    assert mark.taken_over(5, 5, WINDOW).attempts == 2
    assert mark.taken_over(5, 6, WINDOW).attempts == 0  # the delivery is gone from the topic
    assert mark.committed(6).attempts == 0
    assert mark.released(is_unfinished=True).attempts == 1
    assert mark.released(is_unfinished=False).attempts == 2
