"""Names from events as metric labels: a bounded number of them, and nothing unprintable."""

import threading

from worker.logs import printable

OTHER = "other"
_MAX_CHARACTERS = 64


class BoundedLabels:
    """Gives each name its label, and `other` to those that come after the first so many.  Thread-safe.

    Every label value is a time series for ever, and events come from outside:
    without a bound one sender could fill the memory of the worker and of Prometheus.

    Args:
        most: different names that get a label of their own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._labels: set[str] = set()
        self._lock = threading.Lock()

    def label(self, name: str) -> str:
        """Return the label of a name: itself, made printable and cut to 64 characters, or `other`."""
        label = printable(name[:_MAX_CHARACTERS])[:_MAX_CHARACTERS]
        with self._lock:
            if label not in self._labels:
                if len(self._labels) >= self._most:
                    return OTHER
                self._labels.add(label)
        return label
