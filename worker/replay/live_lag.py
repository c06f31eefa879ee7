"""Holds a replay while live work waits."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from worker.exceptions import LossgateError

log = structlog.get_logger(__name__)

_INTERVAL_S: Final = 5.0
_CLOSE_S: Final = 15.0


class LiveLag:
    """Looks at the live group's lag every few seconds, on a thread of its own.  A context manager.

    Held from the start until the first look; above the limit; and while the lag can't be read.
    Once held it goes on at half the limit, so that it does not flap.

    Args:
        read: returns the lag, events.
        limit: the highest lag at which the replay works.
        interval_s: time between two looks.
    """

    def __init__(self, read: Callable[[], int], limit: int, interval_s: float = _INTERVAL_S) -> None:
        self._read = read
        self._limit = limit
        self._interval_s = interval_s
        self._held_because: str | None = "the live group's lag is not known yet"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-lag", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_CLOSE_S)

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

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self._interval_s)
