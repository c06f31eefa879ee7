"""Looks at something every few seconds, on a thread of its own."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

_CLOSE_S: Final = 15.0


class RepeatedLook:
    """Looks at once, and again after each pause.  A context manager.

    Args:
        look: returns True if there is nothing more to see.
        interval_s: time between two looks.
        name: of the thread.
    """

    def __init__(self, look: Callable[[], bool | None], interval_s: float, name: str) -> None:
        self._look = look
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._look():
            if self._ended.wait(self._interval_s):
                return
