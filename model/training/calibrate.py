"""The fourth step, ``calibrate``: logits to probabilities, probabilities to thresholds.

Both are fitted on the validation sources, which the training only watched: its weights are
the last ones of an annealed schedule, no checkpoint is chosen by them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from model.bitrate import BitrateScale
from model.constants import FAMILIES, SILENCE_DBFS
from model.policy import Policy
from model.pooling import Calibration, TrackScore, family_evidence, pool, strongest_evidence
from model.training.scoring import ScoredItem

TRUE_REJECTED_AT_MOST = 0.005
# A few dozen tracks can't tell one false rejection in hundreds: whatever their quantile says, a rejection takes this.
REJECT_AT_LEAST = 0.95
# Even odds.  What is more likely lossy than not is nobody's to wave through; what lies below is not worth a person's
# time: from 0.28 to 0.5 stood one decode and eight true recordings (of 815, validation, each group left out once).
ACCEPT_BELOW = 0.5
# Below it a verdict judges the music.  Of decodes of validation tracks that a filter had ended at 5 kHz before, the
# search of 0.8.0 showed 37 of 42 (all but Opus), of those that end at 2.5 kHz 9 of 14.  With the lattices of 0.10.0 it
# shows 24 of 28 that end at 3.5 kHz, all but the highest bitrates of MP2 and AC-3; 14 true ones reach 2.8 sigma
# (measured).
MINIMUM_BANDWIDTH_HZ = 3_500.0
MINIMUM_DURATION_S = 3.0
# Ridge: within one class 90.8 % with 0.3, 90.5 % with 1, 88.9 % with 3 (validation, each track left out once).
_BITRATE_PULL = 1.0
_SLOPE_PULL = 1e-3  # weight of the pull towards a slope of 1, against a mean cross-entropy
# Validation's true recordings end at 3.9 sigma and its weak decodes begin there, so a fit would reject from 5 sigma.
# Rarer ones reached 7.5 (drums, a fade-out): with this slope and a network that hears nothing that is a review.
_GRID_SLOPE_AT_MOST = 2.9


def track_logit(scored: ScoredItem) -> float:
    """Return the mean logit of an item's audible segments; of all where none is."""
    audible = scored.levels_dbfs > SILENCE_DBFS
    return float(scored.lossy_logits[audible if audible.any() else slice(None)].mean())


def _balanced(lossy: NDArray[np.bool_], sources: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """Weights that give both truths one half: a probability of 0.5 then means even odds.

    Also within each set of source groups that has both, however many decodes were made of it: where single instruments
    have ten decodes to an original and mixes two, a fit would learn that single instruments are lossy.

    Args:
        lossy: shape (n,).
        sources: n sets of source groups.
    """
    weights = np.zeros(len(lossy))
    members = {groups: np.array([one == groups for one in sources]) for groups in set(sources)}
    for truth in (True, False):
        for inside in members.values():
            chosen = inside & (lossy == truth)
            weights[chosen] = inside.sum() / max(chosen.sum(), 1)
        weights[lossy == truth] *= 0.5 / max(weights[lossy == truth].sum(), 1.0)
    return weights


def _platt(
    logits: NDArray[np.float64], grids: NDArray[np.float64], lossy: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Fit slope, grid slope and bias by weighted cross-entropy; the slopes stay positive.

    A small pull towards 1 keeps the slopes finite where the two truths do not overlap at all.
    """

    def slopes(parameters: NDArray[np.float64]) -> tuple[float, float]:
        return float(np.exp(parameters[0])), min(float(np.exp(parameters[1])), _GRID_SLOPE_AT_MOST)

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, grid_slope = slopes(parameters)
        scores = slope * logits + grid_slope * grids + parameters[2]
        pull = _SLOPE_PULL * float(np.sum(np.square(parameters[:2])))
        return float(np.sum(weights * (np.logaddexp(0.0, scores) - lossy * scores))) + pull

    result = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 5_000, "maxfev": 5_000})
    return *slopes(result.x), float(result.x[2])


def _family_scale(
    logits: NDArray[np.float64], grids: NDArray[np.float64], classes: NDArray[np.intp]
) -> tuple[float, float]:
    """Fit the family head's temperature and the weight of each family's own grid, by cross-entropy."""

    def loss(parameters: NDArray[np.float64]) -> float:
        temperature, weight = np.exp(parameters)
        scaled = logits / temperature + weight * grids
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        chosen = scaled[np.arange(len(classes)), classes]
        pull = _SLOPE_PULL * float(np.sum(np.square(parameters)))
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - chosen)) + pull

    result = optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 5_000})
    return float(np.exp(result.x[0])), float(np.exp(result.x[1]))


def fit_calibration(scored: Sequence[ScoredItem]) -> Calibration:
    """Fit the calibration on whole items, as the worker will pool them."""
    logits = np.array([track_logit(s) for s in scored])
    lossy = np.array([s.item.is_lossy for s in scored])
    families_found = np.stack([family_evidence(s.search) for s in scored])
    strongest = np.array([strongest_evidence(s.search) for s in scored])
    weights = _balanced(lossy, [s.bench.track.groups for s in scored])
    slope, grid_slope, bias = _platt(logits, strongest, lossy, weights)
    altered = [s for s in scored if s.item.is_lossy]
    family = np.stack([s.family_logits.mean(axis=0) for s in altered])
    truths = np.array([FAMILIES.index(s.item.truth) for s in altered])
    family_temperature, grid_family_weight = _family_scale(family, families_found[lossy], truths)
    calibration = Calibration(
        slope=slope,
        grid_slope=grid_slope,
        bias=bias,
        family_temperature=family_temperature,
        grid_family_weight=grid_family_weight,
    )
    return replace(calibration, bitrate=_bitrate_scale(altered, calibration))


def _bitrate_scale(altered: Sequence[ScoredItem], calibration: Calibration) -> BitrateScale:
    """Fit log2(kbit/s) by ridge regression on what the pool hears of each item."""
    rows = np.stack([track_score(s, calibration).bitrate_features for s in altered])
    exponents = np.log2([s.item.kbps for s in altered])
    mean, bias = rows.mean(axis=0), float(exponents.mean())
    centred = rows - mean
    pull = _BITRATE_PULL * np.eye(rows.shape[1])
    weights = np.linalg.solve(centred.T @ centred + pull, centred.T @ (exponents - bias))
    return BitrateScale(tuple(float(weight) for weight in weights), bias - float(mean @ weights))


def track_score(scored: ScoredItem, calibration: Calibration) -> TrackScore:
    """Pool an item exactly as the worker does."""
    return pool(
        scored.lossy_logits,
        scored.family_logits,
        scored.bitrate_logits,
        calibration,
        scored.levels_dbfs,
        scored.search,
        scored.bandwidth_hz,
    )


def fit_policy(scored: Sequence[ScoredItem], calibration: Calibration, version: str) -> Policy:
    """Choose thresholds: few true recordings rejected, even odds accepted, the rest to review.

    Only items the policy would judge at all (bandwidth, level) count.
    """
    judged = [s for s in scored if s.bandwidth_hz >= MINIMUM_BANDWIDTH_HZ and float(s.levels_dbfs.max()) > SILENCE_DBFS]
    true = np.array([track_score(s, calibration).probability for s in judged if not s.item.is_lossy])
    # method="higher": the threshold is a value that a true recording stays below or at.
    reject_at = float(np.quantile(true, 1.0 - TRUE_REJECTED_AT_MOST, method="higher")) + 1e-4
    reject_at = min(max(reject_at, REJECT_AT_LEAST), 0.9999)
    return Policy(
        version=version,
        reject_at=round(reject_at, 4),
        accept_below=ACCEPT_BELOW,
        name_family_at=0.5,
        minimum_duration_s=MINIMUM_DURATION_S,
        silence_dbfs=SILENCE_DBFS,
        minimum_bandwidth_hz=MINIMUM_BANDWIDTH_HZ,
    )
