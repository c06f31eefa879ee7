"""The longest poll gap: a short stall is still there at the next scrape, and forgotten in the end."""

from worker.poll_gap import WINDOW_S, PollGap


def test_a_stall_is_seen_for_one_to_two_windows() -> None:
    """A gauge of the last gap would show 0.2 s again before anybody scrapes it."""
    gap = PollGap(0.0)
    assert gap.polled(0.2) == 0.2
    assert gap.polled(12.2) == 12.0
    assert gap.polled(12.4) == 12.0
    now = 12.4
    seen = []
    while now < 3 * WINDOW_S:
        now += 1.0
        seen.append((now, gap.polled(now)))
    assert all(longest == 12.0 for at, longest in seen if at < 12.2 + WINDOW_S)
    assert all(longest < 2.0 for at, longest in seen if at > 12.2 + 2 * WINDOW_S)


def test_a_stall_longer_than_the_window_counts_in_the_new_one() -> None:
    """The worst stalls are the longest."""
    gap = PollGap(0.0)
    assert gap.polled(200.0) == 200.0
    assert gap.polled(200.2) == 200.0
