"""Tells on stderr how far a replay has come."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from worker.replay.progress import Progress, duration

_LINE_S: Final = 10.0  # between two lines, where stderr is no terminal


class Reporter:
    """One line that is kept up to date on a terminal; elsewhere a line once in a while.  A context manager.

    Args:
        replay_id: whose progress it is.
        clock: monotonic seconds.
    """

    def __init__(self, replay_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._replay_id = replay_id
        self._clock = clock
        self._is_terminal = sys.stderr.isatty()
        self._began_at = clock()
        self._first: int | None = None
        self._next_at = 0.0
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            print(file=sys.stderr)
            self._is_open = False

    def note(self, progress: Progress, waits_for: str | None) -> None:
        """Tell of progress, if it is time to."""
        self._first = progress.done if self._first is None else self._first
        if self._is_terminal:
            print(f"\r\x1b[K{self._line(progress, waits_for)}", end="", file=sys.stderr, flush=True)
            self._is_open = True
        elif self._clock() >= self._next_at:
            print(self._line(progress, waits_for), file=sys.stderr, flush=True)
            self._next_at = self._clock() + _LINE_S

    def end(self, progress: Progress) -> None:
        """Tell how it ended."""
        self.__exit__(None, None, None)
        came = progress.done - (progress.done if self._first is None else self._first)
        took = duration(self._clock() - self._began_at)
        print(f"{self._line(progress, None)}; {came:,} of them in the last {took}", file=sys.stderr, flush=True)

    def _line(self, progress: Progress, waits_for: str | None) -> str:
        waits = "" if waits_for is None else f"; waiting: {waits_for}"
        return f"replay {self._replay_id}: {progress.words()}{waits}"
