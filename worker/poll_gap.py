"""The longest time between two polls, of late.  Pure."""

from typing import Final

WINDOW_S: Final = 60.0


class PollGap:
    """Remembers the longest gap of this window and of the one before, so that no scrape misses a short stall.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._last_poll = self._window_began = now
        self._before = self._longest = 0.0

    def polled(self, now: float) -> float:
        """Note a poll; return the longest gap within the last one to two minutes, seconds."""
        if now - self._window_began >= WINDOW_S:
            self._window_began = now
            self._before, self._longest = self._longest, 0.0
        self._longest = max(self._longest, now - self._last_poll)
        self._last_poll = now
        return max(self._before, self._longest)
