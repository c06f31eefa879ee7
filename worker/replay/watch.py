"""Follows the committed offsets of a replay, tells how far it has come, and says when it is done."""

from collections.abc import Callable
from typing import Final

import structlog

from worker.exceptions import LossgateError
from worker.replay.progress import Meter, Progress

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S: Final = 1.0


class Watch:
    """Measures a replay's progress.

    Args:
        total: offsets of the plan.
        committed: returns how many of them are done, by all processes.
        on_done: called once all are.
        report: told of each look.
    """

    def __init__(
        self,
        total: int,
        committed: Callable[[], int],
        *,
        on_done: Callable[[], None],
        report: Callable[[Progress], None],
    ) -> None:
        self._meter = Meter(total)
        self._committed = committed
        self._on_done = on_done
        self._report = report

    def look(self) -> bool:
        """Look once and tell; whether all is done."""
        try:
            progress = self.measure()
        except LossgateError as error:
            log.warning("progress_unknown", error=str(error))
            return False
        self._report(progress)
        if progress.is_complete:
            self._on_done()
        return progress.is_complete

    def measure(self) -> Progress:
        """Return how far it is; not while another thread looks.

        Raises:
            TransientError: the brokers don't say.
        """
        return self._meter.note(self._committed())
