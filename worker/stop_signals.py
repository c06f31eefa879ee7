"""SIGTERM and SIGINT as a wish to stop in order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

log = structlog.get_logger(__name__)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[list[signal.Signals]]:
    """Call `stop` on SIGTERM and SIGINT; a second one of either ends the process the way it would without us.

    Yields what arrived so far.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    arrived: list[signal.Signals] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        arrived.append(signal.Signals(number))
        log.info("stop_requested", signal=signal.Signals(number).name)
        for each, handler in before.items():
            signal.signal(each, handler)
        stop()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
