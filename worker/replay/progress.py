"""How far a replay has come, and how long it will take.  Pure."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_WINDOW_S: Final = 120.0  # the rate is that of the last two minutes
_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S


@dataclass(frozen=True, slots=True)
class Progress:
    """Where it stands.

    Attributes:
        done: offsets committed.
        total: offsets of the plan.
        per_second: how many come to it; None while that is not known.
    """

    done: int
    total: int
    per_second: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left."""
        return self.done >= self.total

    @property
    def seconds_left(self) -> float | None:
        """Time to the end at this rate; None where it can't be told."""
        return (self.total - self.done) / self.per_second if self.per_second else None

    def words(self) -> str:
        """Say it in a line."""
        share = 100 * self.done / self.total if self.total else 100.0
        text = f"{self.done:,} of {self.total:,} ({share:.1f} %)"
        if self.is_complete:
            return f"{text}, done"
        if self.per_second is None:
            return text
        left = self.seconds_left
        return f"{text}, {self.per_second:.3g}/s, " + ("standing still" if left is None else f"{duration(left)} left")


class Meter:
    """Turns counts into progress with a rate.

    Args:
        total: offsets of the plan.
        clock: monotonic seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> Progress:
        """Take a count of what is done."""
        now = self._clock()
        self._seen.append((now, done))
        while now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = (done - before) / (now - since) if now > since else None
        return Progress(done, self._total, rate)


def estimate_s(events: int, seconds_each: float, lanes: int, processes: int, per_second: float | None) -> float:
    """Estimate the time so many events take, seconds.

    Args:
        events: how many.
        seconds_each: time of one event in one lane.
        lanes: at work at once in a process.
        processes: that share the replay.
        per_second: most events a second of each process, if limited.
    """
    rate = lanes / seconds_each
    return events / (processes * (rate if per_second is None else min(rate, per_second)))


def duration(seconds: float) -> str:
    """Say a time in two units."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"
