"""Holds a replay while live work waits."""

from collections.abc import Callable
from typing import Final

import structlog

from worker.exceptions import LossgateError

log = structlog.get_logger(__name__)

LIVE_LAG_INTERVAL_S: Final = 5.0


class LiveLag:
    """Decides by the live group's lag.

    Held from the start until the first look; above the limit; and while the lag can't be read.
    Once held it goes on at half the limit, so that it does not flap.

    Args:
        read: returns the lag, events.
        limit: the highest lag at which the replay works.
    """

    def __init__(self, read: Callable[[], int], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._held_because: str | None = "the live group's lag is not known yet"

    @property
    def held_because(self) -> str | None:
        """Why the replay has to wait; None if it need not.  From any thread."""
        return self._held_because

    def look(self) -> None:
        """Look once."""
        try:
            lag = self._read()
        except LossgateError as error:
            log.warning("live_lag_unknown", error=str(error))
            self._held_because = "the live group's lag can't be read"
            return
        limit = self._limit if self._held_because is None else self._limit // 2
        self._held_because = f"live lag {lag:,} is above {limit:,}" if lag > limit else None
