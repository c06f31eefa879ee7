"""The fourth step, ``calibrate``: logits to probabilities, probabilities to thresholds.

Both are fitted on the validation sources, which the training only watched: its weights are
the last ones of an annealed schedule, no checkpoint is chosen by them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from model.constants import FAMILIES, SILENCE_DBFS
from model.policy import Policy
from model.pooling import Calibration, TrackScore, family_evidence, pool
from model.training.scoring import ScoredItem

TRUE_REJECTED_AT_MOST = 0.005
# A few dozen tracks can't tell one false rejection in hundreds: whatever their quantile says, a rejection takes this.
REJECT_AT_LEAST = 0.95
LOSSY_ACCEPTED_AT_MOST = 0.02
# A person's time is the price of a review: where few lossy recordings could be accepted only by sending many true ones
# to a person, this share of untreated masters decides, up to even odds.
ORDINARY_REVIEWED_AT_MOST = 0.03
MINIMUM_BANDWIDTH_HZ = 7_000.0  # below it a verdict judges the music
MINIMUM_DURATION_S = 3.0
_SLOPE_PULL = 1e-3  # weight of the pull towards a slope of 1, against a mean cross-entropy


def track_logit(scored: ScoredItem) -> float:
    """Return the mean logit of an item's audible segments; of all where none is."""
    audible = scored.levels_dbfs > SILENCE_DBFS
    return float(scored.lossy_logits[audible if audible.any() else slice(None)].mean())


def _balanced(lossy: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights that give both truths one half: a probability of 0.5 then means even odds."""
    return np.where(lossy, 0.5 / max(lossy.sum(), 1), 0.5 / max((~lossy).sum(), 1))


def _platt(
    logits: NDArray[np.float64], grids: NDArray[np.float64], lossy: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Fit slope, grid slope and bias by weighted cross-entropy; the slopes stay positive.

    A small pull towards 1 keeps the slopes finite where the two truths do not overlap at all.
    """
    weights = _balanced(lossy)

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, grid_slope = np.exp(parameters[:2])
        scores = slope * logits + grid_slope * grids + parameters[2]
        pull = _SLOPE_PULL * float(np.sum(np.square(parameters[:2])))
        return float(np.sum(weights * (np.logaddexp(0.0, scores) - lossy * scores))) + pull

    result = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 5_000, "maxfev": 5_000})
    return float(np.exp(result.x[0])), float(np.exp(result.x[1])), float(result.x[2])


def _temperature(logits: NDArray[np.float64], classes: NDArray[np.intp]) -> float:
    """Fit one temperature by cross-entropy."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        chosen = scaled[np.arange(len(classes)), classes]
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - chosen))

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-2.0, 3.0), method="bounded").x))


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
    slope, grid_slope, bias = _platt(logits, families_found.max(axis=1), lossy)
    altered = [s for s in scored if s.item.is_lossy]
    family = np.stack([s.family_logits.mean(axis=0) for s in altered])
    bitrate = np.stack([s.bitrate_logits.mean(axis=0) for s in altered])
    truths = np.array([FAMILIES.index(s.item.truth) for s in altered])
    family_temperature, grid_family_weight = _family_scale(family, families_found[lossy], truths)
    return Calibration(
        slope=slope,
        grid_slope=grid_slope,
        bias=bias,
        family_temperature=family_temperature,
        grid_family_weight=grid_family_weight,
        bitrate_temperature=_temperature(bitrate, np.array([s.item.bitrate_index for s in altered])),
    )


def track_score(scored: ScoredItem, calibration: Calibration) -> TrackScore:
    """Pool an item exactly as the worker does."""
    return pool(
        scored.lossy_logits,
        scored.family_logits,
        scored.bitrate_logits,
        calibration,
        scored.levels_dbfs,
        scored.search,
    )


def fit_policy(scored: Sequence[ScoredItem], calibration: Calibration, version: str) -> Policy:
    """Choose thresholds: few true recordings rejected, few lossy ones accepted, the rest to review.

    Only items the policy would judge at all (bandwidth, level) count.
    """
    judged = [s for s in scored if s.bandwidth_hz >= MINIMUM_BANDWIDTH_HZ and float(s.levels_dbfs.max()) > SILENCE_DBFS]
    probabilities = np.array([track_score(s, calibration).probability for s in judged])
    lossy = np.array([s.item.is_lossy for s in judged])
    # method="higher": the threshold is a value that a true recording stays below or at.
    reject_at = float(np.quantile(probabilities[~lossy], 1.0 - TRUE_REJECTED_AT_MOST, method="higher")) + 1e-4
    accept_below = float(np.quantile(probabilities[lossy], LOSSY_ACCEPTED_AT_MOST))
    untreated = probabilities[[s.item.truth == "original" and not s.item.condition for s in judged]]
    if len(untreated):
        ordinary = float(np.quantile(untreated, 1.0 - ORDINARY_REVIEWED_AT_MOST, method="higher")) + 1e-4
        accept_below = max(accept_below, min(ordinary, 0.5))
    reject_at = min(max(reject_at, REJECT_AT_LEAST), 0.9999)
    return Policy(
        version=version,
        reject_at=round(reject_at, 4),
        accept_below=round(min(max(accept_below, 0.01), reject_at), 4),
        name_family_at=0.5,
        minimum_duration_s=MINIMUM_DURATION_S,
        silence_dbfs=SILENCE_DBFS,
        minimum_bandwidth_hz=MINIMUM_BANDWIDTH_HZ,
    )
