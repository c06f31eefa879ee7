"""The frame-grid search as a network of its own: one segment a track in, one score a grid out.

Searching every offset of every family costs about 1.5 CPU-seconds a segment, so it is done once a track,
on the segment that promises most; the spectrogram network hears all segments.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from model.grid.grids import evidence_layers
from model.grid.statistics import OffsetScores

SEARCH_NAME = "lossgate_grid_search"


@keras.saving.register_keras_serializable("lossgate")
class BestOfAll(keras.layers.Layer):
    """Scores of one grid to its best offset: (b, HALVES, offsets) -> (b, 2): z-score, offset in samples.

    An offset is worth what its weaker half says.
    """

    def call(self, inputs: Any) -> Any:
        """Return the highest score of all evidence together, and where it stands."""
        total = ops.min(inputs, axis=1)
        best = ops.cast(ops.argmax(total, axis=1), "float32")
        return ops.stack([ops.max(total, axis=1), best], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, HALVES, offsets) -> (b, 2)."""
        return (input_shape[0], 2)


def build_grid_search(segment_samples: int = SEGMENT_SAMPLES, effort: float = 1.0) -> keras.Model:
    """Build the search; it holds no trained weights.

    Args:
        segment_samples: length n of the input.
        effort: see ``evidence_layers``; the released detector searches with all of it.

    Returns:
        A model from ``samples`` (b, n, 2) float32 in [-1, 1] to ``grid`` (b, len(GRIDS), 2): for each grid the
        z-score of its best frame offset against all others, and that offset in samples.
    """
    samples = keras.Input((segment_samples, SEGMENT_CHANNELS), dtype="float32", name="samples")
    rows = []
    for name, layer in evidence_layers(effort).items():  # in the order of `names.GRIDS`
        scores = OffsetScores(dtype="float32", name=f"scores_{name}")(layer(samples))
        best = BestOfAll(dtype="float32", name=f"best_{name}")(scores)
        rows.append(keras.layers.Reshape((1, 2), dtype="float32", name=f"row_{name}")(best))
    grid = keras.layers.Concatenate(axis=1, dtype="float32", name="grid")(rows)
    return keras.Model(samples, {"grid": grid}, name=SEARCH_NAME)


def promising_segment(segments: NDArray[np.float32]) -> int:
    """Choose the segment to search: the one with the most energy at high frequencies.

    A quantiser leaves holes where there was something to quantise; silence and low notes show none.
    The energy of the first difference stands for it: it rises with frequency and costs next to nothing.

    Args:
        segments: shape (n, SEGMENT_SAMPLES, 2), n >= 1.
    """
    energies = [float(np.mean(np.square(np.diff(segment, axis=0), dtype=np.float64))) for segment in segments]
    return int(np.argmax(energies))
