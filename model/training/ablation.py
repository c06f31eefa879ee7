"""What each part of the detector adds: the same calibration step, fitted without it, on the same items."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.grid.track_search import TrackSearch
from model.training import calibrate
from model.training.evaluate import judge
from model.training.scoring import ScoredItem
from model.training.targets import by_condition


def _without_search(scored: ScoredItem) -> ScoredItem:
    return replace(scored, search=None)


def _masked(search: TrackSearch | None, column: int) -> TrackSearch | None:
    if search is None:
        return None
    table: NDArray[np.float64] = search.table.copy()
    table[:, column] = 0.0
    return replace(search, table=table)


def _exact_only(scored: ScoredItem) -> ScoredItem:
    return replace(scored, search=_masked(scored.search, 2))


def _search_only(scored: ScoredItem) -> ScoredItem:
    return replace(scored, lossy_logits=np.zeros_like(scored.lossy_logits))


ABLATIONS = {
    "whole detector": lambda scored: scored,
    "without shallow holes": _exact_only,
    "spectrogram network alone": _without_search,
    "frame-grid search alone": _search_only,
}


def ablate(calibration_items: Sequence[ScoredItem], test_items: Sequence[ScoredItem]) -> list[dict[str, object]]:
    """Fit calibration and thresholds with each part left out, and count on the test items.

    Returns:
        One row an ablation: round trips found and missed, true recordings rejected and reviewed, on the bench and by
        condition of the trials.
    """
    rows: list[dict[str, object]] = []
    for name, change in ABLATIONS.items():
        fitted_on = [change(item) for item in calibration_items]
        calibration = calibrate.fit_calibration(fitted_on)
        policy = replace(calibrate.fit_policy(fitted_on, calibration, "ablation"), minimum_duration_s=0.0)
        judged = judge([change(item) for item in test_items], calibration, policy)
        bench = [j for j in judged if not j.scored.item.condition]
        row: dict[str, object] = {"name": name, "conditions": by_condition(judged, by_encoder=False)}
        for truth, wanted in (("lossy", True), ("true", False)):
            items = [j.decision.decision for j in bench if j.scored.item.is_lossy is wanted]
            row[truth] = {"n": len(items), **{kind: items.count(kind) for kind in ("reject", "review", "accept")}}
        rows.append(row)
    return rows
