"""Follows the committed offsets of a replay, tells how far it has come, and says when it is done."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from worker.exceptions import LossgateError
from worker.replay.progress import Meter, Progress

log = structlog.get_logger(__name__)

_INTERVAL_S: Final = 1.0
_CLOSE_S: Final = 15.0


class Watch:
    """Looks about once a second, on a thread of its own.  A context manager.

    Args:
        total: offsets of the plan.
        committed: returns how many of them are done, by all processes.
        on_done: called once all are.
        report: told of each look.
        interval_s: time between two looks.
    """

    def __init__(
        self,
        total: int,
        committed: Callable[[], int],
        *,
        on_done: Callable[[], None],
        report: Callable[[Progress], None],
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._meter = Meter(total)
        self._committed = committed
        self._on_done = on_done
        self._report = report
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def look(self) -> Progress:
        """Look once; when the thread has ended.

        Raises:
            TransientError: the brokers don't say.
        """
        return self._meter.note(self._committed())

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                progress = self.look()
            except LossgateError as error:
                log.warning("progress_unknown", error=str(error))
            else:
                self._report(progress)
                if progress.is_complete:
                    self._on_done()
                    return
            self._ended.wait(self._interval_s)
