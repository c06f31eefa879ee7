"""Stops a worker that turns one event after another into a dead letter, before it has emptied the topic.  Pure.

So many dead letters have one cause: a schema that changed, a topic of somebody else's, a fault of ours.
The events are safe where they are, and a person has to look.
"""

import threading
from collections import deque
from collections.abc import Iterable


class Brake:
    """Counts dead letters among the last outcomes.  Engages once, and for good: a restart releases it.  Thread-safe.

    Args:
        most: dead letters among the last outcomes, at most.
        window: how many outcomes those are.
    """

    def __init__(self, most: int, window: int) -> None:
        self._most = most
        self._window = window
        self._last: deque[bool] = deque(maxlen=window)  # of published outcomes: whether it was a dead letter
        self._engaged = threading.Event()

    @property
    def is_engaged(self) -> bool:
        """Whether nothing may be published any more."""
        return self._engaged.is_set()

    @property
    def why(self) -> str:
        """One plain sentence, for the log and the probe."""
        return f"more than {self._most} of the last {self._window} outcomes would be dead letters"

    def admits(self, outcomes: Iterable[bool]) -> bool:
        """Whether these may be published; engages if not.

        Args:
            outcomes: in order, whether each is a dead letter.
        """
        if self.is_engaged:
            return False
        last = deque(self._last, maxlen=self._window)
        count = sum(last)
        for is_dead_letter in outcomes:
            if len(last) == self._window:
                count -= last[0]
            last.append(is_dead_letter)
            count += is_dead_letter
            if count > self._most:
                self._engaged.set()
                return False
        return True

    def published(self, outcomes: Iterable[bool]) -> None:
        """Count what was admitted and is committed now."""
        self._last.extend(outcomes)
