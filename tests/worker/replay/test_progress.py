"""Progress, rate, estimate."""

import pytest

from worker.replay.progress import Meter, Progress, duration, estimate_s


def test_rate_and_time_left_are_those_of_the_last_minutes() -> None:
    """A replay that was held for hours must not promise days."""
    now = 0.0
    meter = Meter(1_000, clock=lambda: now)
    assert meter.note(0).seconds_left is None
    now = 10_000.0
    assert meter.note(0).per_second is None
    now = 10_010.0
    progress = meter.note(100)
    assert progress.per_second == pytest.approx(10)
    assert progress.words() == "100 of 1,000 (10.0 %), 10/s, 1 min 30 s left"


def test_ends_and_stands_still_in_words() -> None:
    """The last line says done, and a held replay does not divide by zero."""
    assert Progress(5, 5, 1.0).words() == "5 of 5 (100.0 %), done"
    assert Progress(1, 5, 0.0).words() == "1 of 5 (20.0 %), 0/s, standing still"
    assert Progress(0, 0).is_complete


def test_estimate_takes_the_slower_of_work_and_limit() -> None:
    """Lanes and processes share the work; a rate limit counts for each process."""
    assert estimate_s(1_000, 2.0, lanes=4, processes=1, per_second=None) == pytest.approx(500)
    assert estimate_s(1_000, 2.0, lanes=4, processes=2, per_second=1.0) == pytest.approx(500)
    assert estimate_s(1_000, 2.0, lanes=4, processes=2, per_second=9.0) == pytest.approx(250)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (61, "1 min 1 s"), (7_380, "2 h 3 min"), (180_000, "2 d 2 h")]
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    """Short enough for a progress line."""
    assert duration(seconds) == words
