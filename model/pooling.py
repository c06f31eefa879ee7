"""Segment outputs to one calibrated score a track."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES, SILENCE_DBFS
from model.errors import ArtefactError


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits become probabilities; fitted on validation sources used for nothing else.

    ``probability = sigmoid(slope * mean_logit + bias)`` (Platt); the other two heads are
    divided by their temperature.
    """

    slope: float = 1.0
    bias: float = 0.0
    family_temperature: float = 1.0
    bitrate_temperature: float = 1.0
    silence_dbfs: float = SILENCE_DBFS

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
            if isinstance(value, bool) or not isinstance(value, int | float):
                message = f"calibration: {key} must be a number, not {value!r}"
                raise ArtefactError(message)
            if not math.isfinite(value) or (key.endswith(("slope", "temperature")) and value <= 0):
                message = f"calibration: {key} must be finite (and positive), not {value!r}"
                raise ArtefactError(message)
            numbers[key] = float(value)
        return cls(**numbers)

    def to_json(self) -> dict[str, float]:
        """Return the object that ``from_json`` reads."""
        return asdict(self)


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
    """The family with the highest score."""
    bitrate_class: str
    """The bitrate class with the highest score."""


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
    segment_probabilities = _sigmoid(calibration.slope * lossy + calibration.bias)
    audible = np.ones(count, dtype=bool)
    if levels_dbfs is not None:
        audible = np.asarray(levels_dbfs, dtype=np.float64) > calibration.silence_dbfs
    if audible.any():
        mean_logit = lossy[audible].mean(keepdims=True)
        probability = float(_sigmoid(calibration.slope * mean_logit + calibration.bias)[0])
    else:
        probability = math.nan
    weights = np.where(audible, segment_probabilities, 0.0)
    # Any NaN here is a broken network: fall back on equal weights, the probability says so.
    total = float(weights.sum())
    usable = math.isfinite(total) and total > 0.0
    weights = weights / total if usable else np.full(count, 1.0 / count)
    families = _softmax(weights @ family / calibration.family_temperature)
    bitrates = _softmax(weights @ bitrate / calibration.bitrate_temperature)
    return TrackScore(
        probability=probability,
        segment_probabilities=tuple(float(value) for value in segment_probabilities),
        family_scores={name: float(value) for name, value in zip(FAMILIES, families, strict=True)},
        family=FAMILIES[int(np.argmax(families))],
        bitrate_class=BITRATE_CLASSES[int(np.argmax(bitrates))],
    )
