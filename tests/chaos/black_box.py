"""A worker's flight recorder: when it last polled, and its longest gap.  A mapped file, so it outlives a SIGKILL."""

import mmap
import struct
import time
from pathlib import Path

_LAYOUT = struct.Struct("<ddd")  # last poll, longest gap, forgiven until; the system-wide monotonic clock, seconds


class BlackBox:
    """Written by the worker, read by the run.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    def polled(self) -> None:
        """Note that the poll loop came round."""
        last, longest, forgiven = _LAYOUT.unpack_from(self._map)
        now = time.monotonic()
        gap = now - max(last, forgiven) if last else 0.0
        _LAYOUT.pack_into(self._map, 0, now, max(longest, gap), forgiven)

    def forgive(self) -> None:
        """Count no gap before now: the process was stopped, and could not poll."""
        last, longest, _forgiven = _LAYOUT.unpack_from(self._map)
        _LAYOUT.pack_into(self._map, 0, last, longest, time.monotonic())

    @property
    def has_polled(self) -> bool:
        """Whether the loop has come round at all."""
        return bool(_LAYOUT.unpack_from(self._map)[0])

    @property
    def longest_gap_s(self) -> float:
        """Longest time between two polls so far."""
        return float(_LAYOUT.unpack_from(self._map)[1])
