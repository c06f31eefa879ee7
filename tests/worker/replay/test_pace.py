"""Rate limit and budget of a replay."""

from worker.replay.live_lag import LiveLag
from worker.replay.pace import Pace, PacedBudget


def _never() -> bool:
    return False


def test_a_second_is_used_up_and_comes_back_whole() -> None:
    """Pausing and resuming for each delivery would fetch everything twice."""
    now = 0.0
    pace = Pace(4, clock=lambda: now)
    for _ in range(4):
        assert not pace.is_spent
        pace.take()
    assert pace.is_spent
    now = 0.5
    assert not pace.is_spent
    assert not pace.is_full
    now = 1.0
    assert pace.is_full
    now = 100.0
    pace.take()
    assert not pace.is_full, "time without work must not be saved up"


def test_below_one_a_second_each_waits_for_its_turn() -> None:
    """One in ten seconds is a rate, not a standstill."""
    now = 0.0
    pace = Pace(0.1, clock=lambda: now)
    pace.take()
    now = 9.0
    assert pace.is_spent
    now = 10.0
    assert pace.is_full


def test_without_a_limit_nothing_is_spent() -> None:
    """No limit is no limit."""
    pace = Pace(None)
    for _ in range(1_000):
        pace.take()
    assert pace.is_full
    assert not pace.is_spent


def test_what_holds_the_replay_pauses_its_intake() -> None:
    """Live work, the rate and the budget each can stop it; all three must let it go on."""
    held = False
    budget = PacedBudget(2, 100, 1, pace=Pace(1, clock=lambda: 0.0), is_held=lambda: held)
    assert not budget.should_pause()
    assert budget.should_resume()
    held = True
    assert budget.should_pause()
    assert not budget.should_resume()
    assert PacedBudget(2, 100, 1, pace=Pace(None), is_held=_never).should_resume()
    slow = Pace(1, clock=lambda: 0.0)
    paced = PacedBudget(2, 100, 0, pace=slow, is_held=_never)
    paced.reserve(1)
    assert paced.should_pause(), "what is polled counts, though nothing is judged yet"
    slow.give_back()
    assert not paced.should_pause()
    full = PacedBudget(1, 100, 1, pace=Pace(None), is_held=_never)
    full.reserve(1)
    assert full.should_pause()


def test_live_lag_holds_until_it_is_known_and_low() -> None:
    """Held before the first look, above the limit, while it can't be read; goes on at half the limit."""
    lag = 500
    watch = LiveLag(lambda: lag, limit=100)
    assert watch.held_because is not None
    watch.look()
    assert watch.held_because == "live lag 500 is above 50"
    lag = 80
    watch.look()
    assert watch.held_because is not None, "it would flap"
    lag = 50
    watch.look()
    assert watch.held_because is None
    lag = 100
    watch.look()
    assert watch.held_because is None
    lag = 101
    watch.look()
    assert watch.held_because == "live lag 101 is above 100"
