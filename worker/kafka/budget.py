"""How much may be in flight: deliveries by count and by bytes.  Pure, thread-safe."""

import threading

_RESUME_SHARE = 0.75  # of the budget; resuming at the brim would pause again with the next event


class Budget:
    """Counts what is in flight and says when the intake has to pause and may resume.

    Args:
        max_count: deliveries in flight, at most.
        max_bytes: bytes in flight, at most; a single delivery above that is let through alone.
        step_bytes: bytes the next delivery is expected to take, so that the intake pauses before the brim.
    """

    def __init__(self, max_count: int, max_bytes: int, step_bytes: int = 0) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._step_bytes = step_bytes
        self._count = 0
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Deliveries in flight."""
        return self._count

    @property
    def bytes(self) -> int:
        """Bytes in flight."""
        return self._bytes

    def reserve(self, size: int) -> None:
        """Take one delivery of `size` bytes into flight."""
        with self._lock:
            self._count += 1
            self._bytes += size

    def release(self, size: int) -> None:
        """Let one delivery of `size` bytes go."""
        with self._lock:
            if self._count < 1 or self._bytes < size:
                raise ValueError("more released than reserved")
            self._count -= 1
            self._bytes -= size

    def should_pause(self) -> bool:
        """Whether one more delivery would exceed the budget."""
        with self._lock:
            if self._count == 0:
                return False
            return self._count >= self._max_count or self._bytes + self._step_bytes > self._max_bytes

    def should_resume(self) -> bool:
        """Whether there is room again, and enough of it that the intake does not flap."""
        with self._lock:
            if self._count == 0:
                return True
            return (
                self._count <= self._max_count * _RESUME_SHARE
                and self._count < self._max_count
                and self._bytes + self._step_bytes <= self._max_bytes * _RESUME_SHARE
            )
