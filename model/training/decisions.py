"""Who decided what on which recording: one small file a detector, so that detectors can be compared item by item."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from model.training.evaluate import Judged
from model.training.scoring import ScoredItem

Decisions = dict[str, tuple[str, float]]
"""Decision and probability by ``track/file``, in the trials with the condition before it."""


def key(scored: ScoredItem) -> str:
    """Return the name of an item in a decisions file; bench and trials have files of the same name."""
    name = f"{scored.bench.track.id}/{scored.item.file}"
    return f"{scored.item.condition}/{name}" if scored.item.condition else name


def of(judged: Iterable[Judged]) -> Decisions:
    """Collect the decisions of an evaluation."""
    return {key(j.scored): (j.decision.decision, round(j.score.probability, 5)) for j in judged}


def write(decisions: Mapping[str, tuple[str, float]], path: Path) -> None:
    """Write decisions; the same decisions give the same bytes."""
    text = json.dumps(dict(sorted(decisions.items())), separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Decisions:
    """Read what ``write`` wrote."""
    values = json.loads(gzip.decompress(path.read_bytes()))
    return {name: (str(decision), float(probability)) for name, (decision, probability) in values.items()}


def compare(judged: Iterable[Judged], others: Mapping[str, Decisions]) -> list[dict[str, object]]:
    """Count on the items that all have judged: lossy ones rejected and accepted, true ones rejected and reviewed.

    Args:
        judged: this detector's.
        others: by name.

    Returns:
        One row a detector, this one first under the name ``this detector``.
    """
    ours = list(judged)
    mine = of(ours)
    shared = set(mine).intersection(*others.values()) if others else set(mine)
    lossy = {key(j.scored): j.scored.item.is_lossy for j in ours}
    rows = []
    for name, decisions in {"this detector": mine, **others}.items():
        row: dict[str, object] = {"detector": name}
        for truth, wanted in (("lossy", True), ("true", False)):
            taken = [decisions[item][0] for item in shared if lossy[item] is wanted]
            row[truth] = {"n": len(taken), **{kind: taken.count(kind) for kind in ("reject", "review", "accept")}}
        rows.append(row)
    return rows
