"""What an evaluation says of recordings that are in no bench: true ones, and their decodes."""

from collections.abc import Sequence
from typing import Any

from model.training import targets
from model.training.evaluate import Judged
from model.training.statistics import wilson

_KINDS = ("reject", "review", "accept")


def _counts(judged: Sequence[Judged]) -> dict[str, int]:
    return {"n": len(judged), **{kind: sum(j.decision.decision == kind for j in judged) for kind in _KINDS}}


def true_recordings(true: Sequence[Judged]) -> dict[str, Any]:
    """Count the decisions on further true recordings: all, by kind, and the source groups with a false rejection."""
    whole = _counts(true)
    low, high = wilson(whole["reject"], whole["n"])
    kinds = sorted({j.scored.bench.track.kind for j in true})
    return {
        **whole,
        "low": low,
        "high": high,
        "by_kind": {kind: _counts([j for j in true if j.scored.bench.track.kind == kind]) for kind in kinds},
        **targets.groups_with_a_false_rejection(true),
        "rejected_items": [
            f"{j.scored.bench.track.id} ({', '.join(j.scored.bench.track.groups)})"
            for j in true
            if j.decision.decision == "reject"
        ],
    }


def decodes(judged: Sequence[Judged]) -> dict[str, Any]:
    """Count the decisions on decodes of further recordings: by encoding, and by the kind of recording."""

    def row(name: str, members: Sequence[Judged]) -> dict[str, Any]:
        counts = _counts(members)
        low, high = wilson(counts["reject"], counts["n"])
        return {"name": name, **counts, "low": low, "high": high}

    encodings = sorted({j.scored.item.name for j in judged})
    kinds = sorted({j.scored.bench.track.kind for j in judged})
    return {
        "n": len(judged),
        "clips": len({j.scored.bench.track.id for j in judged}),
        "no_treble": sum(j.decision.reason == "BANDWIDTH_TOO_LOW" for j in judged),
        "by_encoding": [row(name, [j for j in judged if j.scored.item.name == name]) for name in encodings],
        "by_kind": [row(kind, [j for j in judged if j.scored.bench.track.kind == kind]) for kind in kinds],
    }
