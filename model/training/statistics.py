"""The few statistics of the report."""

from collections.abc import Sequence

import numpy as np

Z_95 = 1.959964  # two-sided 95 % of the normal distribution


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) for no trials."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = hits / total, Z_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 / (1 + z2 / total) * float(np.sqrt(share * (1 - share) / total + z2 / (4 * total**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def reliability(
    probabilities: Sequence[float], truths: Sequence[bool], bins: int = 10
) -> tuple[float, list[dict[str, float]]]:
    """Return the expected calibration error and the bins behind it.

    Both truths are weighted to one half, as the calibration assumes.
    """
    p, t = np.asarray(probabilities), np.asarray(truths)
    weights = np.where(t, 0.5 / max(t.sum(), 1), 0.5 / max((~t).sum(), 1))
    index = np.minimum((p * bins).astype(int), bins - 1)
    error, rows = 0.0, []
    for b in range(bins):
        inside = index == b
        weight = float(weights[inside].sum())
        if weight == 0.0:
            continue
        said = float(np.average(p[inside], weights=weights[inside]))
        true = float(np.average(t[inside], weights=weights[inside]))
        error += weight * abs(said - true)
        rows.append({"said": said, "observed": true, "weight": weight, "n": float(inside.sum())})
    return error, rows
