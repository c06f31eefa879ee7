"""From evidence an offset to scores relative to the other offsets, and to a few features."""

from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.constants import SEGMENT_CHANNELS
from model.grid.evidence import BANDS, CHANNELS, HALVES

# What is summed before it is scored: single channels, then pairs, then everything, then
# everything a band.  A codec quantises left/right or mid/side, band by band.
PROFILES: Final = (
    "left",
    "right",
    "mid",
    "side",
    "left_right",
    "mid_side",
    "all",
    *(f"band_{i}" for i in range(BANDS)),
)
FEATURES: Final = (
    "best",
    "second",
    *(f"at_best_{p}" for p in PROFILES if p != "all"),
    "best_lr",
    "best_ms",
    "loudness",
)
_ALL = PROFILES.index("all")
_LEFT_RIGHT, _MID_SIDE = PROFILES.index("left_right"), PROFILES.index("mid_side")

_TREND_OUTER = 21  # offsets; the line is one wide, content changes over more
_TREND_INNER = 5  # offsets around the line that do not count to its surroundings
_FINITE = 1e-3  # hits; keeps digital silence finite
_MAD_TO_SIGMA = 1.4826  # of a Gaussian
_KNEE = 3.0  # scores up to here stay nearly linear, larger ones go logarithmic


def profile_matrix() -> NDArray[np.float32]:
    """Return (BANDS * CHANNELS, len(PROFILES)) of 0 and 1."""
    cell_band, cell_channel = np.divmod(np.arange(BANDS * CHANNELS), CHANNELS)
    sets = [cell_channel == channel for channel in range(CHANNELS)]
    coded_apart = cell_channel < SEGMENT_CHANNELS
    sets += [coded_apart, ~coded_apart, np.ones_like(coded_apart)]
    sets += [cell_band == band for band in range(BANDS)]
    return np.stack(sets, axis=1).astype(np.float32)


@keras.saving.register_keras_serializable("lossgate")
class OffsetScores(keras.layers.Layer):
    """Evidence to z-scores: (b, HALVES, offsets + 1, BANDS, CHANNELS) -> (b, HALVES, offsets, PROFILES).

    The mean of the offsets around is taken off, the rest is divided by its robust spread
    (median absolute deviation) over all offsets.  Loud noise or a distorted synth has next
    to no small coefficients: one chance hit would then score in the hundreds, so the
    spread is never below the weight of one hit a cell.
    """

    def call(self, inputs: Any) -> Any:
        """Return how far each offset stands out, in standard deviations."""
        matrix = ops.convert_to_tensor(profile_matrix())
        flat = ops.reshape(inputs, (-1, inputs.shape[2], BANDS * CHANNELS))
        profiles = ops.matmul(flat[:, :-1], matrix)
        hit = ops.matmul(ops.square(flat[:, -1:]), matrix)
        reach = _TREND_OUTER // 2
        padded = ops.pad(profiles, ((0, 0), (reach, reach), (0, 0)), mode="reflect")
        outer = ops.average_pool(padded, _TREND_OUTER, strides=1, padding="valid", data_format="channels_last")
        inside = reach - _TREND_INNER // 2
        inner = ops.average_pool(
            padded[:, inside:-inside], _TREND_INNER, strides=1, padding="valid", data_format="channels_last"
        )
        trend = (_TREND_OUTER * outer - _TREND_INNER * inner) / (_TREND_OUTER - _TREND_INNER)
        rest = profiles - trend
        rest = rest - ops.median(rest, axis=1, keepdims=True)
        spread = _MAD_TO_SIGMA * ops.median(ops.abs(rest), axis=1, keepdims=True)
        scores = rest / ops.sqrt(ops.square(spread) + hit + _FINITE)
        return ops.reshape(scores, (-1, HALVES, inputs.shape[2] - 1, len(PROFILES)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, HALVES, offsets + 1, BANDS, CHANNELS) -> (b, HALVES, offsets, PROFILES)."""
        offsets = input_shape[2]
        return (input_shape[0], HALVES, None if offsets is None else offsets - 1, len(PROFILES))


@keras.saving.register_keras_serializable("lossgate")
class BestOffset(keras.layers.Layer):
    """Scores and evidence to features: -> (b, FEATURES), whatever the number of offsets.

    The best offset of all evidence together and the runner-up outside its neighbourhood;
    each other profile *at that offset* (on a grid they agree, by chance they do not); the
    two pairs' own bests; and how much one hole weighs, i.e. whether there was anything loud
    enough to show a hole.  Scores are compressed: asinh(z / 3).
    """

    def call(self, inputs: Any) -> Any:
        """Return the features."""
        scores, evidence = inputs
        total = scores[..., _ALL]
        best = ops.argmax(total, axis=1)
        offsets = ops.arange(scores.shape[1], dtype="int32")[None, :]
        distance = ops.abs(offsets - ops.cast(best, "int32")[:, None])
        at_best = ops.cast(distance == 0, "float32")
        near = ops.cast(distance <= _TREND_INNER // 2, "float32")
        picked = ops.sum(scores * at_best[..., None], axis=1)
        second = ops.max(total - 1e9 * near, axis=1, keepdims=True)
        others = [picked[:, i : i + 1] for i in range(len(PROFILES)) if i != _ALL]
        pairs = [ops.max(scores[..., i], axis=1, keepdims=True) for i in (_LEFT_RIGHT, _MID_SIDE)]
        found = ops.concatenate([picked[:, _ALL : _ALL + 1], second, *others, *pairs], axis=-1)
        loudness = ops.mean(evidence[:, -1], axis=(1, 2))[:, None]
        return ops.concatenate([ops.arcsinh(found / _KNEE), loudness], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """-> (b, FEATURES)."""
        return (input_shape[0][0], len(FEATURES))


def score_of(feature: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo the compression: a feature back to its z-score."""
    z: NDArray[np.float32] = _KNEE * np.sinh(feature)
    return z
