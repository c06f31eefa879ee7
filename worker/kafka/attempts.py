"""Which delivery ends the process?  What is counted across crashes, and what follows from it.  Pure.

The count stands in the metadata of the committed offset, so it needs no store of its own and always
belongs to the delivery that is next in the partition, its *head*.  An owner that goes in an orderly way says so there;
one that finds the mark of a running owner knows that its predecessor died with this head.

One death can have any cause.  After the second among the same deliveries these are *suspects*:
whatever may have been at work then is judged alone, one delivery in the whole process.
A delivery that is alone each time the process dies is the cause, as far as anyone can tell.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

SUSPECT_AFTER_DEATHS: Final = 2
_VERSION: Final = 1
_LARGEST: Final = 2**63 - 1  # Kafka's offsets are signed 64-bit numbers


@dataclass(frozen=True, slots=True)
class Mark:
    """What the metadata of a committed offset says of the deliveries behind it."""

    is_running: bool = False  # the owner that wrote it has not gone in an orderly way
    deaths: int = 0  # owners that died while their head was one of the suspects
    suspects_end: int = 0  # first offset that was certainly not at work in any of them
    attempts: int = 0  # times the head was begun alone and not finished

    @classmethod
    def from_metadata(cls, metadata: str | None) -> Self:
        """Read the metadata of a committed offset; of a stranger's nothing is known."""
        try:
            values = json.loads(metadata or "")
            if values.pop("lossgate") != _VERSION:
                return cls()
            mark = cls(**values)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return cls()
        counts = (mark.deaths, mark.suspects_end, mark.attempts)
        if type(mark.is_running) is not bool or any(type(each) is not int for each in counts):
            return cls()
        return mark if all(0 <= each <= _LARGEST for each in counts) else cls()

    def to_metadata(self) -> str:
        """Text for the metadata of a committed offset."""
        return json.dumps({"lossgate": _VERSION, **asdict(self)}, separators=(",", ":"))

    @property
    def careful_until(self) -> int:
        """First offset that need not be judged alone; 0 if none must be."""
        return self.suspects_end if self.deaths >= SUSPECT_AFTER_DEATHS else 0

    def taken_over(self, committed: int, head: int, window: int) -> "Mark":
        """Return the mark of a new owner.

        Args:
            committed: the offset this mark stood at.
            head: offset of the first event from there on.
            window: offsets from the head on that an owner may have had at work.
        """
        mark = _moved(self, head)
        if head != committed:
            mark = replace(mark, attempts=0)  # the delivery it counted is gone
        if not mark.is_running:
            return replace(mark, is_running=True)
        return replace(mark, deaths=mark.deaths + 1, suspects_end=head + window)

    def committed(self, head: int) -> "Mark":
        """Return the mark that goes with the offset behind a finished delivery."""
        return replace(_moved(self, head), attempts=0)

    def attempted(self) -> "Mark":
        """Return the mark to write before the head is begun alone."""
        return replace(self, attempts=self.attempts + 1)

    def released(self, *, is_unfinished: bool) -> "Mark":
        """Return the mark of an owner that goes in an orderly way.

        Args:
            is_unfinished: the head was begun alone, and that it is not finished is not its fault.
        """
        return replace(self, is_running=False, attempts=max(0, self.attempts - is_unfinished))


def _moved(mark: Mark, head: int) -> Mark:
    """All suspects are finished once the head is behind them."""
    return mark if head < mark.suspects_end else replace(mark, deaths=0, suspects_end=0)
