"""The fifth step, ``evaluate``: what the held-out sources say."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.constants import FAMILIES, SEGMENT_SAMPLES
from model.policy import Decision, Policy, TrackFacts
from model.pooling import Calibration, TrackScore
from model.training import codecs
from model.training.calibrate import track_score
from model.training.scoring import ScoredItem, auc
from model.training.statistics import reliability, wilson

EVEN_ODDS = 0.5
_TINY = 1e-15


@dataclass(frozen=True, slots=True)
class Judged:
    """An item with its score and decision."""

    scored: ScoredItem
    score: TrackScore
    decision: Decision

    @property
    def logit(self) -> float:
        """Log-odds of the calibrated probability, for everything threshold-free."""
        p = min(max(self.score.probability, _TINY), 1.0 - _TINY)
        return float(np.log(p / (1.0 - p)))


def judge(scored: Sequence[ScoredItem], calibration: Calibration, policy: Policy) -> list[Judged]:
    """Decide on every item exactly as the worker would."""
    judged = []
    for item in scored:
        result = track_score(item, calibration)
        facts = TrackFacts(
            duration_s=len(item.lossy_logits) * SEGMENT_SAMPLES / item.item.rate_hz,
            level_dbfs=float(item.levels_dbfs.max()),
            bandwidth_hz=item.bandwidth_hz,
        )
        judged.append(Judged(item, result, policy.decide(result, facts)))
    return judged


def _row(items: Sequence[Judged], wanted: str) -> dict[str, Any]:
    """Count the decisions of some items; ``share`` is that of the wanted one."""
    counts = {kind: sum(j.decision.decision == kind for j in items) for kind in ("reject", "review", "accept")}
    low, high = wilson(counts[wanted], len(items))
    return {
        "n": len(items),
        **counts,
        "share": counts[wanted] / len(items) if items else float("nan"),
        "low": low,
        "high": high,
        "median_probability": float(np.median([j.score.probability for j in items])) if items else float("nan"),
    }


def _grouped(
    items: Sequence[Judged], key: Callable[[Judged], str], wanted: str, true: Sequence[Judged] = ()
) -> dict[str, dict[str, Any]]:
    """Count decisions by a key; with ``true`` given, also the AUC against those."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    rows = {}
    for name, members in sorted(groups.items()):
        rows[name] = _row(members, wanted)
        if true:
            rows[name]["auc"] = auc([j.logit for j in true], [j.logit for j in members])
    return rows


def _above_own_original(judged: Sequence[Judged]) -> float:
    """Return the share of decodes that score above their own original."""
    own = {j.scored.bench.track.id: j.logit for j in judged if j.scored.item.truth == "original"}
    lossy = [j for j in judged if j.scored.item.is_lossy]
    return float(np.mean([j.logit > own[j.scored.bench.track.id] for j in lossy]))


def _table_rows(lossy: Sequence[Judged], true: Sequence[Judged], encodings: Sequence[codecs.Encoding]) -> Any:
    """Return the rows of one of the fixed tables, in its order."""
    rows = []
    for encoding in encodings:
        members = [j for j in lossy if j.scored.item.name == encoding.name]
        if members:
            rows.append(
                {
                    "family": encoding.family,
                    "encoder": encoding.encoder,
                    "setting": encoding.setting,
                    "cut_off": encoding.cut_off,
                    **_row(members, "reject"),
                    "auc": auc([j.logit for j in true], [j.logit for j in members]),
                }
            )
    return rows


def _family_confusion(rejected: Sequence[Judged]) -> dict[str, Any]:
    """Count what was named (columns) for what it was (rows), in the order of ``FAMILIES``; others are left out."""
    counts = np.zeros((len(FAMILIES), len(FAMILIES)), dtype=int)
    for j in rejected:
        if j.score.family not in FAMILIES:
            continue
        counts[FAMILIES.index(j.scored.item.truth), FAMILIES.index(j.score.family)] += 1
    return {"families": list(FAMILIES), "counts": counts.tolist()}


def evaluate(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return every figure of the report as one JSON-ready object."""
    true = [j for j in judged if not j.scored.item.is_lossy]
    originals = [j for j in true if j.scored.item.truth == "original"]
    standard_names = {encoding.name for encoding in codecs.table()}
    lossy = [j for j in judged if j.scored.item.is_lossy]
    standard = [j for j in lossy if j.scored.item.name in standard_names]
    rejected = [j for j in standard if j.decision.decision == "reject"]
    ece, bins = reliability(
        [j.score.probability for j in [*true, *standard]], [False] * len(true) + [True] * len(standard)
    )
    found_even = float(np.mean([j.score.probability >= EVEN_ODDS for j in standard]))
    kept_even = float(np.mean([j.score.probability < EVEN_ODDS for j in originals]))
    threshold = np.quantile([j.logit for j in true], 0.99)
    return {
        "tracks": len({j.scored.bench.track.id for j in judged}),
        "source_groups": sorted({g for j in judged for g in j.scored.bench.track.groups}),
        "items": len(judged),
        "originals": _row(originals, "accept"),
        "true_recordings": _row(true, "accept"),
        "lossy": _row(standard, "reject"),
        "table": _table_rows(lossy, originals, list(codecs.table())),
        "cut_off_table": _table_rows(lossy, originals, list(codecs.forced_table())),
        "unseen_table": _table_rows(lossy, originals, list(codecs.unseen_table())),
        "families": _grouped(standard, lambda j: j.scored.item.truth, "reject", originals),
        "true_by_treatment": _grouped(true, lambda j: j.scored.item.name, "accept"),
        "true_by_kind": _grouped(originals, lambda j: j.scored.bench.track.kind, "accept"),
        "true_by_group": _grouped(true, lambda j: " + ".join(j.scored.bench.track.groups), "accept"),
        "auc_originals": auc([j.logit for j in originals], [j.logit for j in standard]),
        "auc_all_true": auc([j.logit for j in true], [j.logit for j in standard]),
        "above_own_original": _above_own_original([*originals, *standard]),
        "found_at_1_percent_false": float(np.mean([j.logit > threshold for j in standard])),
        "even_odds": {
            "found": found_even,
            "kept": kept_even,
            "balanced": (found_even + kept_even) / 2.0,
        },
        "ece": ece,
        "reliability": bins,
        "family_confusion": _family_confusion(rejected),
        "family_right": float(np.mean([j.score.family == j.scored.item.truth for j in standard])),
        "family_right_when_rejected": (
            float(np.mean([j.score.family == j.scored.item.truth for j in rejected])) if rejected else float("nan")
        ),
        "scores": {
            "true": [round(j.score.probability, 4) for j in true],
            "lossy": [round(j.score.probability, 4) for j in standard],
        },
    }
