"""How fast a replay may go: so many deliveries a second, and not at all while live work waits.  Pure, thread-safe."""

import threading
import time
from collections.abc import Callable

from worker.kafka.budget import Budget


class Pace:
    """A rate that is kept over each second, or over each delivery where it is below one a second.

    Args:
        per_second: deliveries; None: no limit.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second or 0.0)
        self._left = self._most
        self._at = clock()
        self._clock = clock
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a delivery."""
        with self._lock:
            self._refill()
            self._left -= 1

    def give_back(self) -> None:
        """Count a delivery that was taken as none."""
        with self._lock:
            self._left += 1

    @property
    def is_spent(self) -> bool:
        """Whether the next delivery would come too early."""
        return self._per_second is not None and self._now_left() < 1

    @property
    def is_full(self) -> bool:
        """Whether a second's worth is there again, so that going on does not mean to stop at once."""
        return self._per_second is None or self._now_left() >= self._most

    def _now_left(self) -> float:
        with self._lock:
            self._refill()
            return self._left

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * (self._per_second or 0.0))
        self._at = now


class PacedBudget(Budget):
    """A budget that is also spent while the pace says so, or something holds; what is reserved counts for the pace.

    Args:
        max_count: as of `Budget`.
        max_bytes: as of `Budget`.
        step_bytes: as of `Budget`.
        pace: the rate.
        is_held: whether no delivery may begin now.
    """

    def __init__(
        self, max_count: int, max_bytes: int, step_bytes: int, *, pace: Pace, is_held: Callable[[], bool]
    ) -> None:
        super().__init__(max_count, max_bytes, step_bytes)
        self._pace = pace
        self._is_held = is_held

    def reserve(self, size: int) -> None:
        """Take one delivery of `size` bytes into flight."""
        self._pace.take()
        super().reserve(size)

    def should_pause(self) -> bool:
        """Whether no further delivery may be taken now."""
        return self._is_held() or self._pace.is_spent or super().should_pause()

    def should_resume(self) -> bool:
        """Whether there is room again."""
        return not self._is_held() and self._pace.is_full and super().should_resume()
