"""Segment outputs to one calibrated score a track."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bitrate import FEATURES, BitrateScale, features
from model.constants import BITRATE_CLASSES, FAMILIES, SILENCE_DBFS, TELLING_GRID_SCORE
from model.errors import ArtefactError
from model.grid.combine import FINENESS
from model.grid.names import FAMILY_INDICES, FAMILY_OF_GRID, GRIDS
from model.grid.track_search import TrackSearch

_POSITIVE = frozenset({"slope", "family_temperature"})
_NOT_NEGATIVE = frozenset({"grid_slope", "grid_family_weight"})
# Grid scores up to here say nothing: the best of all candidates reaches them by chance (178 true recordings: 3.9 at
# most; of 3 to 5, 4 had the least cross-entropy; validation).  Above, the first few count nearly linearly, larger ones
# logarithmically.
_NOTHING = 4.0


NO_BITRATE = BitrateScale((0.0,) * FEATURES, 0.0)
"""Before anything was fitted: every track falls into the first class."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities; fitted on validation sources used for nothing else.

    ``probability = sigmoid(slope * mean_logit + grid_slope * e(z) + bias)`` with z the highest score of the frame-grid
    search and ``e(z) = asinh(max(z - 4, 0))`` (Platt's scaling, on two features).  The family head is divided by its
    temperature; a family's own best grid adds ``grid_family_weight * e`` to its logit.
    """

    slope: float = 1.0
    grid_slope: float = 0.0
    bias: float = 0.0
    family_temperature: float = 1.0
    grid_family_weight: float = 0.0
    silence_dbfs: float = SILENCE_DBFS
    bitrate: BitrateScale = NO_BITRATE

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "Calibration":
        """Read the ``calibration`` object of metadata.json.

        Raises:
            ArtefactError: a key is missing, unknown, not a finite number, or a slope or
                temperature is not positive.
        """
        known = set(asdict(cls()))
        if set(values) != known:
            odd = sorted(set(values) ^ known)
            message = f"calibration: missing or unknown keys {odd}"
            raise ArtefactError(message)
        numbers: dict[str, float] = {}
        for key, value in values.items():
            if key == "bitrate":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                message = f"calibration: {key} must be a number, not {value!r}"
                raise ArtefactError(message)
            if not math.isfinite(value) or (key in _POSITIVE and value <= 0) or (key in _NOT_NEGATIVE and value < 0):
                message = f"calibration: {key} must be finite (and positive), not {value!r}"
                raise ArtefactError(message)
            numbers[key] = float(value)
        return cls(**numbers, bitrate=BitrateScale.from_json(values["bitrate"]))

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``from_json`` reads."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GridFinding:
    """The frame grid that stands out most in the segments that were searched."""

    grid: str
    """One of ``model.grid.names.GRIDS``."""
    z: float
    """How far its best frame offset stands out from all others, standard deviations; unaltered audio stays below 6."""
    offset_samples: int
    """That offset, from the start of the segment below, at the grid's own rate."""
    segment: int
    """Index of the searched segment that shows it best."""


@dataclass(frozen=True, slots=True)
class TrackScore:
    """What the network says of a whole track."""

    probability: float
    """Calibrated probability that the track was lossy; NaN where nothing could be heard."""
    segment_probabilities: tuple[float, ...]
    """One a segment, in order, silent segments included."""
    family_scores: dict[str, float]
    """Probability of each family, given that the track was lossy; they sum to one."""
    family: str
    """The family with the highest score or, where the grid of a codec of none stands out most, that codec's name."""
    bitrate_class: str
    """See ``model.bitrate``."""
    bitrate_features: NDArray[np.float64] = field(default_factory=lambda: np.zeros(FEATURES), repr=False, compare=False)
    """What the bitrate class was told from: shape (bitrate.FEATURES,)."""
    grid: GridFinding | None = None
    """What the frame-grid search found, where there was one."""


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function that neither overflows nor hides NaN."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of a vector."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


def pool(
    lossy_logits: NDArray[np.floating[Any]],
    family_logits: NDArray[np.floating[Any]],
    bitrate_logits: NDArray[np.floating[Any]],
    calibration: Calibration,
    levels_dbfs: NDArray[np.floating[Any]] | None = None,
    search: TrackSearch | None = None,
    bandwidth_hz: float = math.nan,
) -> TrackScore:
    """Pool the segments of one track.

    Audible segments count alike; the family and bitrate heads are weighted by how lossy
    each segment sounds, since a segment without traces knows no family.

    Args:
        lossy_logits: shape (n,).
        family_logits: shape (n, 7), in the order of ``FAMILIES``.
        bitrate_logits: shape (n, 5), in the order of ``BITRATE_CLASSES``.
        calibration: from the artefact's metadata.
        levels_dbfs: shape (n,), from ``bandwidth.segment_levels_dbfs``; segments below the
            calibration's silence level are left out of the pool.  Without it all count.
        search: what the frame-grid search found.
        bandwidth_hz: where the signal ends; only the bitrate class needs it.

    Returns:
        The score; its probability is NaN where no segment is audible or a logit is NaN,
        which the policy sends to review.

    Raises:
        ValueError: no segments, or the shapes do not fit together.
    """
    lossy = np.asarray(lossy_logits, dtype=np.float64).reshape(-1)
    family = np.asarray(family_logits, dtype=np.float64)
    bitrate = np.asarray(bitrate_logits, dtype=np.float64)
    count = lossy.shape[0]
    if count == 0:
        message = "pooling needs at least one segment"
        raise ValueError(message)
    if family.shape != (count, len(FAMILIES)) or bitrate.shape != (count, len(BITRATE_CLASSES)):
        message = f"{count} segments, but family {family.shape} and bitrate {bitrate.shape}"
        raise ValueError(message)
    if search is not None and max(search.segments) >= count:
        message = f"segment {max(search.segments)} was searched, but there are only {count}"
        raise ValueError(message)
    by_family = family_evidence(search)
    strongest = strongest_evidence(search)
    found = calibration.grid_slope * strongest
    segment_logits = calibration.slope * lossy + calibration.bias
    if search is not None:
        segment_logits[list(search.segments)] += calibration.grid_slope * evidence(search.segment_z)
    segment_probabilities = _sigmoid(segment_logits)
    audible = np.ones(count, dtype=bool)
    if levels_dbfs is not None:
        audible = np.asarray(levels_dbfs, dtype=np.float64) > calibration.silence_dbfs
    if audible.any():
        mean_logit = lossy[audible].mean(keepdims=True)
        probability = float(_sigmoid(calibration.slope * mean_logit + found + calibration.bias)[0])
    else:
        probability = math.nan
    weights = np.where(audible, segment_probabilities, 0.0)
    # Any NaN here is a broken network: fall back on equal weights, the probability says so.
    total = float(weights.sum())
    usable = math.isfinite(total) and total > 0.0
    weights = weights / total if usable else np.full(count, 1.0 / count)
    families = _softmax(weights @ family / calibration.family_temperature + calibration.grid_family_weight * by_family)
    named = FAMILIES[int(np.argmax(families))]
    heard = features(weights @ bitrate, named, strongest, bandwidth_hz)
    return TrackScore(
        probability=probability,
        segment_probabilities=tuple(float(value) for value in segment_probabilities),
        family_scores={name: float(value) for name, value in zip(FAMILIES, families, strict=True)},
        family=_other_codec(search) or named,
        bitrate_class=calibration.bitrate.bitrate_class(heard),
        bitrate_features=heard,
        grid=None if search is None else _finding(search),
    )


def evidence(z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return what scores of the search count for on the calibration's scale: the same shape, not negative."""
    return np.asarray(np.arcsinh(np.maximum(np.asarray(z, dtype=np.float64) - _NOTHING, 0.0)))


def family_evidence(search: TrackSearch | None) -> NDArray[np.float64]:
    """Return each family's grid evidence: shape (len(FAMILIES),), by its best grid and statistic."""
    found = np.zeros(len(FAMILIES))
    if search is not None:
        rows, families = list(FAMILY_INDICES), list(FAMILY_INDICES.values())
        np.maximum.at(found, families, evidence(search.table[rows, 0::2].max(axis=1)))
    return found


def strongest_evidence(search: TrackSearch | None) -> float:
    """Return what the best of all grids counts for, also one of no family; 0 without a search."""
    return 0.0 if search is None else float(evidence(np.asarray(search.best_z)))


def _other_codec(search: TrackSearch | None) -> str | None:
    """Return the codec whose grid stands out most and clearly, where it is none of ``FAMILIES``; else None."""
    if search is None or search.best_z < TELLING_GRID_SCORE:
        return None
    grid = GRIDS[search.best_grid]
    return grid if FAMILY_OF_GRID[grid] is None else None


def _finding(search: TrackSearch) -> GridFinding:
    clearest = int(np.argmax(search.segment_z))
    grid = GRIDS[search.best_grid]
    samples = search.offset_in(search.starts[clearest]) // FINENESS[grid]
    return GridFinding(grid, search.best_z, samples, search.segments[clearest])
