"""The frame-grid search as a network of its own: segments in, a score for every frame offset of every grid out.

Searching every offset of every family costs about one CPU-second a segment, so only a few segments of a track are
searched, those that promise most; ``combine`` adds them up.  The spectrogram network hears all segments.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from model.bandwidth import segment_levels_dbfs
from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES, SILENCE_DBFS
from model.grid.grids import evidence_layers
from model.grid.names import RESAMPLED
from model.grid.other_rate import OtherRate
from model.grid.repetition import Repetition
from model.grid.statistics import OffsetScores

SEARCH_NAME = "lossgate_grid_search"


def build_grid_search(segment_samples: int = SEGMENT_SAMPLES, effort: float = 1.0) -> keras.Model:
    """Build the search; it holds no trained weights.

    Args:
        segment_samples: length n of the input.
        effort: see ``evidence_layers``; the released detector searches with all of it.

    Returns:
        A model from ``samples`` (b, n, 2) float32 in [-1, 1] and their ``rate_hz`` (b,) int32, one of
        ``ANALYSIS_RATES_HZ``, to ``grid_scores`` (b, ``combine.SCORES``): the z-score of every frame offset, laid out
        as ``combine.unpack`` reads it.
    """
    samples = keras.Input((segment_samples, SEGMENT_CHANNELS), dtype="float32", name="samples")
    rate = keras.Input((), dtype="int32", name="rate_hz")
    other = OtherRate(name="searched_at_the_other_rate")(samples, rate)
    repetition = Repetition()
    rows = []
    for name, layer in evidence_layers(effort).items():  # in the order of `names.GRIDS`
        heard = other if name in RESAMPLED else samples
        evidence = layer(heard, rate if layer.rate_hz else None)
        scores = OffsetScores(dtype="float32", name=f"scores_{name}")(evidence)
        scores = repetition.where_new(layer, heard, scores)
        rows.append(keras.layers.Flatten(dtype="float32", name=f"row_{name}")(scores))
    joined = keras.layers.Concatenate(axis=1, dtype="float32", name="grid_scores")(rows)
    return keras.Model({"samples": samples, "rate_hz": rate}, {"grid_scores": joined}, name=SEARCH_NAME)


def by_promise(segments: NDArray[np.float32]) -> list[int]:
    """Order segments by what a search may find in them: most energy at high frequencies first.

    A quantiser leaves holes where there was something to quantise; silence and low notes show none.
    The energy of the first difference stands for it: it rises with frequency and costs next to nothing.

    Args:
        segments: shape (n, SEGMENT_SAMPLES, 2), n >= 1.

    Returns:
        Indices of those that can be heard at all (``SILENCE_DBFS``): what a fade-out rounds to is the same again and
        again, and looks like anything.  The most promising one alone where none can.
    """
    energies = [float(np.mean(np.square(np.diff(segment, axis=0), dtype=np.float64))) for segment in segments]
    order = [int(index) for index in np.argsort(energies, kind="stable")[::-1]]
    audible = segment_levels_dbfs(segments) > SILENCE_DBFS
    return [index for index in order if audible[index]] or order[:1]
