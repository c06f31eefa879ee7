"""What an evaluation says of recordings that are in no bench: true ones, and their decodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.training import targets
from model.training.bench import BenchTrack
from model.training.evaluate import Judged
from model.training.statistics import wilson
from model.training.unchanged import NEARLY_LOSSLESS, sixteen_bit, unchanged_share

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


def _equals_its_original(judged: Judged, originals: Mapping[str, BenchTrack]) -> bool:
    """Tell whether a decode is nearly its original, sample by sample; never one at another rate."""
    bench, item = judged.scored.bench, judged.scored.item
    original = originals.get(bench.track.id)
    if original is None or item.rate_hz != original.items[0].rate_hz:
        return False
    before, after = (sixteen_bit(source.samples(one)) for source, one in ((original, original.items[0]), (bench, item)))
    return unchanged_share(before, after) >= NEARLY_LOSSLESS


def decodes(judged: Sequence[Judged], originals: Mapping[str, BenchTrack]) -> dict[str, Any]:
    """Count the decisions on decodes of further recordings: by encoding, and by the kind of recording.

    Args:
        judged: the decodes.
        originals: the recordings that they were made of, by track.
    """
    equal = {id(j) for j in judged if j.decision.decision != "reject" and _equals_its_original(j, originals)}

    def row(name: str, members: Sequence[Judged]) -> dict[str, Any]:
        counts = _counts(members)
        low, high = wilson(counts["reject"], counts["n"])
        same = sum(id(j) in equal for j in members)
        return {"name": name, **counts, "low": low, "high": high, "not_found_but_nearly_lossless": same}

    encodings = sorted({j.scored.item.name for j in judged})
    kinds = sorted({j.scored.bench.track.kind for j in judged})
    return {
        "n": len(judged),
        "clips": len({j.scored.bench.track.id for j in judged}),
        "no_treble": sum(j.decision.reason == "BANDWIDTH_TOO_LOW" for j in judged),
        "by_encoding": [row(name, [j for j in judged if j.scored.item.name == name]) for name in encodings],
        "by_kind": [row(kind, [j for j in judged if j.scored.bench.track.kind == kind]) for kind in kinds],
    }
