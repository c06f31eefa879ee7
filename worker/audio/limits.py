"""The limits one object is read under.  Pure."""

import time
from dataclasses import dataclass, field

from worker.exceptions import UnusableAudioError
from worker.records import FetchFault, Reason
from worker.settings import Settings

_FETCH_SHARE = 0.9  # of the deadline; what is left lets the child say so before it is killed


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes, durations and deadlines, as the settings have them."""

    max_object_bytes: int
    whole_object_bytes: int
    max_duration_s: float
    windows_per_track: int
    fetch_attempts: int
    deadline_s: float
    started_s: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Take the limits out of the settings."""
        return cls(
            max_object_bytes=settings.max_object_bytes,
            whole_object_bytes=settings.whole_object_bytes,
            max_duration_s=settings.max_duration_s,
            windows_per_track=settings.windows_per_track,
            fetch_attempts=settings.fetch_attempts,
            deadline_s=settings.decode_deadline_s,
        )

    @property
    def fetch_seconds_left(self) -> float:
        """Seconds the fetch may still take, 0 at least."""
        return max(0.0, self.started_s + _FETCH_SHARE * self.deadline_s - time.monotonic())

    def check_size(self, size_bytes: int) -> None:
        """Refuse an object that is, or has grown, too large.

        Raises:
            UnusableAudioError: OBJECT_TOO_LARGE.
        """
        if size_bytes > self.max_object_bytes:
            msg = (
                f"The object has {size_bytes:,} bytes or more, the limit is {self.max_object_bytes:,} "
                "(LOSSGATE_MAX_OBJECT_BYTES)."
            )
            raise UnusableAudioError(Reason.OBJECT_TOO_LARGE, msg)

    def check_time(self, size_bytes: int) -> None:
        """Give up a fetch that is too slow to end in time.

        Raises:
            UnusableAudioError: FETCH_FAILED.
        """
        if not self.fetch_seconds_left:
            msg = (
                f"The store delivered only {size_bytes:,} bytes within the {self.deadline_s:g} s one object may take "
                "(LOSSGATE_DECODE_DEADLINE_S)."
            )
            raise UnusableAudioError(Reason.FETCH_FAILED, msg, FetchFault.SLOW)
