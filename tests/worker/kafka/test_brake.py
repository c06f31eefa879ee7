"""The dead-letter brake: when it engages, and that it stays engaged."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.brake import Brake


def test_more_than_so_many_of_the_last_engage() -> None:
    """Just as many is fine; one more is not, and it is not let through."""
    brake = Brake(2, 4)
    assert brake.admits([True, True, False])
    brake.published([True, True, False])
    assert not brake.admits([True])
    assert brake.is_engaged


def test_old_dead_letters_are_forgotten() -> None:
    """A few now and then, over years, stop nothing."""
    brake = Brake(1, 4)
    for _ in range(100):
        assert brake.admits([True, False, False, False])
        brake.published([True, False, False, False])


def test_only_what_was_published_counts() -> None:
    """An aborted transaction is asked about again; its outcomes must not count twice."""
    brake = Brake(2, 4)
    for _ in range(10):
        assert brake.admits([True, True])


def test_it_stays_engaged() -> None:
    """Good outcomes after it do not release it: a person has to look."""
    brake = Brake(0, 1)
    assert not brake.admits([True])
    assert not brake.admits([False])


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=8)), st.integers(0, 6), st.integers(1, 6))
def test_no_window_holds_more(batches: list[list[bool]], most: int, window: int) -> None:
    """However outcomes come in batches, among any so many in a row there are never more than allowed."""
    brake = Brake(most, window)
    published: list[bool] = []
    for batch in batches:
        if not brake.admits(batch):
            break
        brake.published(batch)
        published += batch
    assert all(sum(published[start : start + window]) <= most for start in range(len(published)))
    if most >= window:
        assert not brake.is_engaged
