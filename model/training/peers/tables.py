"""What the peers found, in tables that can stand beside our own figures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.training.markdown import percent
from model.training.statistics import wilson

Record = Mapping[str, Any]
Ours = Mapping[tuple[str, str], str]
"""Our decision (``reject``, ``review`` or ``accept``) by track and file."""

OURS = "Lossgate"
_TRUE = frozenset({"original", "variant"})


@dataclass(frozen=True, slots=True)
class Count:
    """How often a detector accused a group of files."""

    n: int
    accused: int
    unsure: int
    no_verdict: int

    @property
    def share(self) -> float:
        """Share accused of all files: no verdict finds nothing, and rejects nothing."""
        return self.accused / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share."""
        return wilson(self.accused, self.n)


def is_true(record: Record) -> bool:
    """Return whether a record is about a true recording."""
    return record["truth"] in _TRUE


def count(records: Sequence[Record]) -> Count:
    """Count the verdicts of one detector."""
    return Count(
        len(records),
        sum(record["found"] is True for record in records),
        sum(bool(record["unsure"]) for record in records),
        sum(record["found"] is None for record in records),
    )


def our_records(records: Iterable[Record], ours: Ours) -> list[dict[str, Any]]:
    """Return our decisions in the peers' shape, one for each item that both have.

    A review accuses nobody: it is counted as unsure.
    """
    seen: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in records:
        decision = ours.get((record["track"], record["file"]))
        if decision is not None:
            verdict = {"peer": OURS, "found": decision == "reject", "unsure": decision == "review", "seconds": None}
            seen[record["set"], record["track"], record["file"]] = {**record, **verdict}
    return list(seen.values())


def tabulate(records: Iterable[Record], key: Callable[[Record], str]) -> dict[str, dict[str, Count]]:
    """Count by group and detector.

    Args:
        records: of any number of detectors.
        key: the group of a record, such as its encoding or its condition.

    Returns:
        Group, in order of first appearance -> detector -> count.
    """
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        groups[key(record)][record["peer"]].append(record)
    return {group: {who: count(found) for who, found in rows.items()} for group, rows in groups.items()}


def seconds_a_file(records: Iterable[Record]) -> dict[str, float]:
    """Return each detector's median CPU seconds a file; what is loaded once hardly counts in a median."""
    spent: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record["seconds"]:
            spent[record["peer"]].append(float(record["seconds"]))
    return {who: float(np.median(values)) for who, values in spent.items()}


def cell(one: Count | None) -> str:
    """Format a count as ``accused of n, share (interval)``."""
    if one is None:
        return "-"
    low, high = one.interval
    return f"{one.accused} of {one.n}, {percent(one.share)} ({percent(low)} to {percent(high)})"
