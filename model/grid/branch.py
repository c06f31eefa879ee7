"""The frame-grid branch: every family's layer, its scores, a small head."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.constants import SEGMENT_CHANNELS
from model.grid.celt import ResampledCeltEvidence
from model.grid.constants import (
    AAC_HOP,
    AAC_KBD_ALPHA,
    AAC_SHORT_HOP,
    AAC_SHORT_KBD_ALPHA,
    AC3_HOP,
    AC3_KBD_ALPHA,
    VORBIS_HOP,
    VORBIS_SHORT_HOP,
    WMA_HOP,
)
from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.lattice import AC3LatticeEvidence
from model.grid.mdct import MDCTEvidence, celt_at_48k
from model.grid.mp3_hybrid import HybridEvidence, SubbandEvidence
from model.grid.names import GRIDS
from model.grid.statistics import PROFILES, BestOffset, OffsetScores

_ALL = PROFILES.index("all")


def grid_periods() -> dict[str, int]:
    """Return after how many samples each grid repeats."""
    return {name: layer.offsets for name, layer in evidence_layers().items()}


def evidence_layers(effort: float = 1.0) -> dict[str, OffsetEvidence]:
    """Return a new evidence layer a grid, by its name, in the order of ``GRIDS``.

    The numbers of stretches share 1.5 CPU-seconds a segment by what they find.

    Args:
        effort: share of them that is searched; below 1 the weakest grids are missed.
    """

    def stretches(number: int) -> int:
        return HALVES * max(1, round(effort * number / HALVES))

    return {
        "aac": MDCTEvidence(AAC_HOP, "kbd", stretches(8), alpha=AAC_KBD_ALPHA, name="grid_aac"),
        "aac_sine": MDCTEvidence(AAC_HOP, "sine", stretches(2), name="grid_aac_sine"),
        "aac_short": MDCTEvidence(
            AAC_SHORT_HOP, "kbd", stretches(32), alpha=AAC_SHORT_KBD_ALPHA, name="grid_aac_short"
        ),
        "ac3": MDCTEvidence(AC3_HOP, "kbd", stretches(32), alpha=AC3_KBD_ALPHA, name="grid_ac3"),
        "ac3_lattice": AC3LatticeEvidence(stretches(16), name="grid_ac3_lattice"),
        "mp2": SubbandEvidence(stretches(8), name="grid_mp2"),
        "mp3": HybridEvidence(stretches(12), name="grid_mp3"),
        "opus_44k1": ResampledCeltEvidence(stretches(14), name="grid_opus_44k1"),
        "opus_48k": celt_at_48k(stretches(8), name="grid_opus_48k"),
        "vorbis": MDCTEvidence(VORBIS_HOP, "power_sine", stretches(6), name="grid_vorbis"),
        "vorbis_short": MDCTEvidence(VORBIS_SHORT_HOP, "power_sine", stretches(64), name="grid_vorbis_short"),
        "wma": MDCTEvidence(WMA_HOP, "sine", stretches(2), name="grid_wma"),
    }


def grid_statistics(samples: keras.KerasTensor) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
    """Connect all grids to ``samples`` (b, n, 2).

    Returns:
        The statistics (b, GRIDS, FEATURES), which hold no weights, and the scores
        (b, offsets, PROFILES) of each grid.
    """
    rows, images = [], {}
    for name, layer in evidence_layers().items():
        evidence = layer(samples)
        images[name] = OffsetScores(dtype="float32", name=f"scores_{name}")(evidence)
        best = BestOffset(dtype="float32", name=f"best_{name}")([images[name], evidence])
        rows.append(keras.layers.Reshape((1, -1), dtype="float32", name=f"row_{name}")(best))
    statistics = keras.layers.Concatenate(axis=1, dtype="float32", name="grid_statistics")(rows)
    return statistics, images


def build_grid_head(statistics: keras.KerasTensor, width: int = 32) -> keras.KerasTensor:
    """(b, GRIDS, FEATURES) -> (b, width): the only part of the branch that learns."""
    flat = keras.layers.Flatten(name="grid_flat")(statistics)
    return keras.layers.Dense(width, activation="relu", name="grid_features")(flat)


def build_grid_branch(samples: keras.KerasTensor, width: int = 32) -> keras.KerasTensor:
    """(b, n, 2) -> (b, width): to be concatenated with the image branch's features."""
    return build_grid_head(grid_statistics(samples)[0], width)


@dataclass(frozen=True, slots=True)
class GridFeatures:
    """What the grids say about a batch of segments."""

    statistics: NDArray[np.float32]  # (b, GRIDS, FEATURES)
    offsets: NDArray[np.int64]  # (b, GRIDS): best frame offset in samples from the segment's start


@cache
def _statistics_model(samples: int) -> keras.Model:
    inputs = keras.Input((samples, SEGMENT_CHANNELS), dtype="float32", name="samples")
    statistics, images = grid_statistics(inputs)
    return keras.Model(inputs, {"statistics": statistics, **images}, name="grid_statistics_only")


def grid_features(samples: NDArray[np.float32]) -> GridFeatures:
    """Search all grids in segments of shape (b, n, 2), n usually ``SEGMENT_SAMPLES``.

    The statistics hold no weights: compute them once a file, train the head on the table.
    """
    outputs: dict[str, Any] = _statistics_model(samples.shape[1]).predict_on_batch(samples)
    statistics = np.asarray(outputs["statistics"])
    from_all = [np.asarray(outputs[name])[..., _ALL].argmax(axis=1) for name in GRIDS]
    return GridFeatures(statistics, np.stack(from_all, axis=1))
