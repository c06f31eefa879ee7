"""From evidence an offset to scores relative to the other offsets, summed over bands and channels."""

from typing import Any

import keras
from keras import ops

_TREND_OUTER = 21  # offsets; the line is one wide, content changes over more
_TREND_INNER = 5  # offsets around the line that do not count to its surroundings
_FINITE = 1e-3  # hits; keeps digital silence finite
_MAD_TO_SIGMA = 1.4826  # of a Gaussian


@keras.saving.register_keras_serializable("lossgate")
class OffsetScores(keras.layers.Layer):
    """Evidence to z-scores: (b, parts, offsets + 1, BANDS, CHANNELS) -> (b, parts, offsets).

    The mean of the offsets around is taken off, the rest is divided by its robust spread
    (median absolute deviation) over all offsets.  Loud noise or a distorted synth has next
    to no small coefficients: one chance hit would then score in the hundreds, so the
    spread is never below the weight of one hit a cell.
    """

    def call(self, inputs: Any) -> Any:
        """Return how far each offset stands out, in standard deviations."""
        cells = inputs.shape[3] * inputs.shape[4]
        flat = ops.reshape(inputs, (-1, inputs.shape[2], cells))
        everything = ops.ones((cells, 1), dtype=flat.dtype)
        counts = ops.matmul(flat[:, :-1], everything)
        hit = ops.matmul(ops.square(flat[:, -1:]), everything)
        reach = _TREND_OUTER // 2
        padded = ops.pad(counts, ((0, 0), (reach, reach), (0, 0)), mode="reflect")
        outer = ops.average_pool(padded, _TREND_OUTER, strides=1, padding="valid", data_format="channels_last")
        inside = reach - _TREND_INNER // 2
        inner = ops.average_pool(
            padded[:, inside:-inside], _TREND_INNER, strides=1, padding="valid", data_format="channels_last"
        )
        trend = (_TREND_OUTER * outer - _TREND_INNER * inner) / (_TREND_OUTER - _TREND_INNER)
        rest = counts - trend
        rest = rest - ops.median(rest, axis=1, keepdims=True)
        spread = _MAD_TO_SIGMA * ops.median(ops.abs(rest), axis=1, keepdims=True)
        scores = rest / ops.sqrt(ops.square(spread) + hit + _FINITE)
        return ops.reshape(scores, (-1, inputs.shape[1], inputs.shape[2] - 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, parts, offsets + 1, BANDS, CHANNELS) -> (b, parts, offsets)."""
        offsets = input_shape[2]
        return (input_shape[0], input_shape[1], None if offsets is None else offsets - 1)
