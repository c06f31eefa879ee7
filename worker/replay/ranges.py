"""From what was asked for to the offsets a replay covers.  Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.exceptions import SettingsError

_ASKED = re.compile(r"(?P<partition>[0-9]{1,10})/(?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})?")


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets of one partition: from `start` on, before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Offsets in it; not each of them is an event (transactions leave marks, compaction leaves gaps)."""
        return max(0, self.end - self.start)


Ranges = Mapping[int, OffsetRange]  # by partition


def asked_offsets(texts: Sequence[str]) -> dict[int, tuple[int, int | None]]:
    """Read `3/100-200` (partition 3, both offsets included) and `3/100-` (to the end).

    Raises:
        SettingsError: one is neither, ends before it begins, or names a partition twice.
    """
    asked: dict[int, tuple[int, int | None]] = {}
    for text in texts:
        found = _ASKED.fullmatch(text)
        first, last = (int(found["first"]), found["last"]) if found else (0, None)
        if found is None or (last is not None and int(last) < first):
            raise SettingsError(f"{text!r} is no range of offsets; write 3/100-200, or 3/100- for all after it.")
        partition = int(found["partition"])
        if partition in asked:
            raise SettingsError(f"Partition {partition} is given twice; one replay takes one range of each partition.")
        asked[partition] = (first, None if last is None else int(last))
    return asked


def resolve(
    bounds: Mapping[int, tuple[int, int]],
    asked: Mapping[int, tuple[int, int | None]],
    since: Mapping[int, int] | None = None,
    until: Mapping[int, int] | None = None,
) -> dict[int, OffsetRange]:
    """Cut what was asked for to what the topic holds; partitions without an offset in it are left out.

    Args:
        bounds: first offset of each partition, and the one after its last.
        asked: ranges by partition, last offset included; empty: all partitions.
        since: offset of each partition that a point in time begins with.
        until: the same of the end.

    Raises:
        SettingsError: a partition does not exist, or nothing is left.
    """
    if strangers := sorted(asked.keys() - bounds.keys()):
        raise SettingsError(f"There is no partition {strangers[0]}; the topic has {len(bounds)}, from 0 on.")
    ranges = {}
    for partition, (low, high) in bounds.items():
        if asked and partition not in asked:
            continue
        first, last = asked.get(partition, (low, None))
        start = max(low, first, since[partition] if since else low)
        end = min(high, high if last is None else last + 1, until[partition] if until else high)
        if start < end:
            ranges[partition] = OffsetRange(start, end)
    if not ranges:
        held = ", ".join(f"{partition}/{low}-{high - 1}" for partition, (low, high) in bounds.items() if low < high)
        raise SettingsError(f"No event lies in that range; the topic holds {held or 'nothing'}.")
    return ranges
