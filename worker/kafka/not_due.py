"""Events of the retries topic that have to wait: the first of each partition, and what was polled behind it.

Their partitions are paused meanwhile, so that is one event a partition as a rule.
They are not in flight: the ledger enters them when they are due, and a worker that stops leaves them where they are.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from worker.kafka.event import Event
from worker.kafka.ledger import Partition
from worker.kafka.retry_plan import RetryPlan


class NotDue:
    """Keeps events until they are due.  Used by the poll thread only.

    Args:
        plan: says how long an event waits.
        wall_s: Unix time, seconds; asked once for each event, so that a clock that is set does no harm.
        clock_s: monotonic seconds.
    """

    def __init__(
        self, plan: RetryPlan, wall_s: Callable[[], float] = time.time, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan: Final = plan
        self._wall_s: Final = wall_s
        self._clock_s: Final = clock_s
        self._waiting: dict[Partition, deque[tuple[float, Event]]] = {}  # when it is due, by the monotonic clock

    @property
    def partitions(self) -> frozenset[Partition]:
        """Partitions that are to stay paused."""
        return frozenset(self._waiting)

    def keep(self, event: Event) -> bool:
        """Keep an event that has to wait, or that stands behind one; False if it is to be taken now."""
        wait_s = self._plan.wait_s(event, self._wall_s())
        waiting = self._waiting.get(event.partition)
        if waiting is None:
            if not wait_s:
                return False
            waiting = self._waiting[event.partition] = deque()
        waiting.append((self._clock_s() + wait_s, event))
        return True

    def next_due(self) -> Event | None:
        """Return an event that is due, and forget it; None if there is none."""
        now = self._clock_s()
        for partition, waiting in self._waiting.items():
            due, event = waiting[0]
            if due <= now:
                waiting.popleft()
                if not waiting:
                    del self._waiting[partition]
                return event
        return None

    def first(self, partition: Partition) -> int | None:
        """Offset of the first event that waits in a partition."""
        waiting = self._waiting.get(partition)
        return waiting[0][1].source.offset if waiting else None

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop what waits in these partitions: it is their next owner's."""
        for partition in partitions:
            self._waiting.pop(partition, None)
