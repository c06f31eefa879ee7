"""Long jobs say where they are, one plain line at a time (logs are read in files too)."""

import sys
import time


class Progress:
    """Counts finished items and prints a line every few seconds."""

    def __init__(self, label: str, total: int, every_s: float = 10.0) -> None:
        """``total`` items of ``label``; at most one line every ``every_s`` seconds."""
        self._label, self._total, self._every_s = label, total, every_s
        self._done = 0
        self._began = self._said = time.monotonic()

    def step(self, note: str = "") -> None:
        """Count one item."""
        self._done += 1
        now = time.monotonic()
        if now - self._said >= self._every_s or self._done == self._total:
            self._said = now
            rate = self._done / max(now - self._began, 1e-6)
            left = (self._total - self._done) / max(rate, 1e-6)
            sys.stderr.write(f"{self._label}: {self._done}/{self._total}, {left:.0f} s left {note}\n")
            sys.stderr.flush()
