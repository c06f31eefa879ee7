"""What a run prints at its end.  Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.audit import Findings
from tests.chaos.faults import Fault
from tests.chaos.fleet import Toll

_MIB = 1024 * 1024
_MOST_SENTENCES = 10  # of each kind


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One consumer group at the end of a run."""

    name: str
    sent: int
    outcomes: int
    postponed: int  # records of the retries topic
    findings: Findings
    reasons: Mapping[str, int]
    toll: Toll


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    seed: int
    seconds: float
    faults: Counter[Fault]
    groups: Sequence[GroupResult]
    orphans: int  # decoder children that outlived their workers
    store: Mapping[str, int]  # answers of the object store, by how

    @property
    def problems(self) -> list[str]:
        """Everything that must not be, one sentence each."""
        found = [] if not self.orphans else [f"{self.orphans} decoder children outlived their workers"]
        for group in self.groups:
            found += [f"{group.name}: {sentence}" for sentence in group.toll.bad_drains]
            for kind in group.findings.counts():
                sentences = getattr(group.findings, kind)
                found += [f"{group.name}: {kind}: {sentence}" for sentence in sentences[:_MOST_SENTENCES]]
        return found

    def text(self) -> str:
        """The report."""
        lines = [f"chaos run, seed {self.seed}, {self.seconds:.0f} s"]
        lines += [f"  {count:4}  {fault}" for fault, count in sorted(self.faults.items(), key=lambda each: -each[1])]
        if self.store:
            lines.append("object store answered: " + _listed(self.store))
        findings = list(Findings().counts())
        lines.append(
            _row(
                "group", "sent", "outcomes", "postponed", *findings, "longest gap", "peak memory", "(child)", "started"
            )
        )
        for group in self.groups:
            toll = group.toll
            lines.append(
                _row(
                    group.name,
                    group.sent,
                    group.outcomes,
                    group.postponed,
                    *group.findings.counts().values(),
                    f"{toll.longest_gap_s:.2f} s",
                    f"{toll.peak_memory / _MIB:.0f} MiB",
                    f"{toll.peak_child_memory / _MIB:.0f} MiB" if toll.peak_child_memory else "-",
                    toll.started,
                )
            )
        for group in self.groups:
            lines.append(f"{group.name}: outcomes: {_listed(group.reasons)}")
            lines.append(f"{group.name}: workers ended by {_listed(group.toll.ended)}")
            lines += [f"  {count:4}  {words}" for words, count in group.toll.last_words.most_common()]
        lines += self.problems or ["nothing lost, nothing twice, nothing out of order, nothing stuck"]
        return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items(), key=lambda each: -each[1])) or "-"


def _row(name: str, *cells: object) -> str:
    return f"{name:10}" + "".join(f"{cell!s:>12}" for cell in cells)
