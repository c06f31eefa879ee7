"""The worker as a process of its own, as in production: `lossgate run` with settings in the environment."""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_STOP_DEADLINE_S = 45.0  # over LOSSGATE_DRAIN_DEADLINE_S
_TAIL_LINES = 15


class WorkerDiedError(Exception):
    """The worker ended by itself; the message holds the tail of its log."""


class WorkerProcess:
    """A running worker.  A context manager: leaving it drains the worker with SIGTERM.

    Args:
        environment: its whole environment.
        log: where its log goes.
        folder: where it runs; not the checkout, so that no stray `.env` is read.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, folder: Path) -> None:
        self._environment = dict(environment)
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.cli", "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,  # Ctrl-C in the terminal is for the demo, which then stops the worker in order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise if the worker is gone.

        Raises:
            WorkerDiedError: it is.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise WorkerDiedError(f"The worker ended with code {code}. The end of its log, {self._log}:\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of its log."""
        with self._log.open(errors="replace") as lines:
            return "".join(deque(lines, maxlen=_TAIL_LINES)).rstrip() or "(empty)"

    def stop(self) -> int | None:
        """Drain and end it; returns its exit code.  What does not end in time is killed with all its children."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_DEADLINE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it, and any decoder children that outlived it
            self._process.wait()
        return code
