"""From what was heard of a track to its bitrate class: a linear estimate of log2(kbit/s).

The network's bitrate head alone knows the picture; how clearly a frame grid stands out says more at high rates, and a
low-pass says more still, but each of them means another rate in each family.  Fitted on validation sources (measured
there, each track left out once, of what is rejected: within one class 88.9 % with one slope of head and bandwidth for
all families, 90.5 % with a slope a family beside it; the class itself 45 and 48 %).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES, bitrate_class_index
from model.errors import ArtefactError

_BANDWIDTH_UNIT_HZ: Final = 10_000.0
_MOST_KBPS: Final = 2_048.0  # keeps an estimate from rubbish finite
_USUAL_BANDWIDTH: Final = 1.6  # of those units; a family's own slope turns about it
FEATURES: Final = len(BITRATE_CLASSES) + 2 * len(FAMILIES) + 1 + len(FAMILIES) * (len(BITRATE_CLASSES) + 1)


def features(
    bitrate_logits: NDArray[np.floating[Any]],
    family: str,
    grid_evidence: float,
    bandwidth_hz: float,
) -> NDArray[np.float64]:
    """Return what the estimate is a weighted sum of: shape (FEATURES,).

    Args:
        bitrate_logits: shape (5,), of the track.
        family: the one it was named.
        grid_evidence: what the frame-grid search counts for, of the clearest grid.
        bandwidth_hz: where the signal ends.
    """
    logits = np.asarray(bitrate_logits, dtype=np.float64)
    named = np.array([family == name for name in FAMILIES], dtype=np.float64)
    head, bandwidth = logits - logits.mean(), bandwidth_hz / _BANDWIDTH_UNIT_HZ
    own = np.outer(named, [*head, bandwidth - _USUAL_BANDWIDTH]).reshape(-1)
    return np.concatenate([head, named, named * grid_evidence, [bandwidth], own])


@dataclass(frozen=True, slots=True)
class BitrateScale:
    """Weights of the estimate, fitted on validation sources."""

    weights: tuple[float, ...]
    """One a feature."""
    bias: float
    """log2(kbit/s)."""

    @classmethod
    def from_json(cls, values: object) -> "BitrateScale":
        """Read what ``to_json`` returned.

        Raises:
            ArtefactError: keys, types or lengths are not those.
        """
        if not isinstance(values, Mapping) or set(values) != {"weights", "bias"}:
            message = "calibration: bitrate must hold `weights` and `bias`"
            raise ArtefactError(message)
        weights, bias = values["weights"], values["bias"]
        if not isinstance(weights, Sequence) or len(weights) != FEATURES:
            message = f"calibration: bitrate needs {FEATURES} weights"
            raise ArtefactError(message)
        numbers = [*weights, bias]
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
            message = "calibration: bitrate holds something that is no finite number"
            raise ArtefactError(message)
        return cls(tuple(float(weight) for weight in weights), float(bias))

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``from_json`` reads."""
        return asdict(self)

    def bitrate_class(self, row: NDArray[np.float64]) -> str:
        """Return the class of an estimate from ``features``; NaN falls into the first."""
        exponent = float(np.dot(self.weights, row)) + self.bias
        kbps = 0.0 if math.isnan(exponent) else 2.0 ** min(exponent, math.log2(_MOST_KBPS))
        return BITRATE_CLASSES[bitrate_class_index(kbps)]
