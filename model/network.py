"""The network of the 2017 paper, as a start.

Log-magnitude STFT -> 4 x [convolution 3x3, pooling] -> global pooling -> dense -> logits
(Hennequin, Royo-Letelier, Moussallam, ICASSP 2017), on mid and side.  A further branch
takes ``samples`` as well and joins at ``features``.
"""

from collections.abc import Sequence

import keras

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_CHANNELS, SEGMENT_SAMPLES
from model.layers import (
    LogMagnitudeSTFT,
    MeanOverTime,
    MidSide,
    PerImageNormalisation,
    RandomHighFrequencyMask,
)

SPECTROGRAM_NAME = "lossgate_spectrogram_cnn"
FILTERS = (16, 24, 40, 64)
# (time, frequency): the first pool is the strongest, full resolution is where a CPU's time goes.
POOLS = ((2, 2), (2, 2), (2, 2), (2, 2))


def _image_branch(samples: keras.KerasTensor, filters: Sequence[int], seed: int) -> keras.KerasTensor:
    """(b, n, 2) -> (b, 2 * filters[-1]): average and maximum over the frequencies."""
    x = MidSide(dtype="float32", name="mid_side")(samples)
    x = LogMagnitudeSTFT(dtype="float32", name="log_stft")(x)
    x = RandomHighFrequencyMask(seed=seed, dtype="float32", name="random_mask")(x)
    x = PerImageNormalisation(dtype="float32", name="normalise")(x)
    for index, (count, pool) in enumerate(zip(filters, POOLS, strict=True), start=1):
        x = keras.layers.Conv2D(count, 3, padding="same", use_bias=False, name=f"conv_{index}")(x)
        x = keras.layers.BatchNormalization(momentum=0.95, name=f"norm_{index}")(x)
        x = keras.layers.ReLU(name=f"relu_{index}")(x)
        x = keras.layers.MaxPooling2D(pool, name=f"pool_{index}")(x)
    # Time is averaged first: a maximum over time would grow with the length of the segment.
    profile = MeanOverTime(name="mean_over_time")(x)
    average = keras.layers.GlobalAveragePooling1D(name="global_average")(profile)
    maximum = keras.layers.GlobalMaxPooling1D(name="global_maximum")(profile)
    joined: keras.KerasTensor = keras.layers.Concatenate(name="image_features")([average, maximum])
    return joined


def build_network(
    segment_samples: int | None = SEGMENT_SAMPLES,
    filters: Sequence[int] = FILTERS,
    dropout: float = 0.3,
    seed: int = 0,
) -> keras.Model:
    """Build the untrained network.

    Args:
        segment_samples: length n of the input; weights do not depend on it, so training
            may use shorter crops.
        filters: maps of the four convolutions.
        dropout: share of the features dropped in training.
        seed: of the mask; weights follow ``keras.utils.set_random_seed``.

    Returns:
        A model from ``samples`` (b, n, 2) float32 in [-1, 1] to a dict of ``lossy_logit``
        (b,), ``family_logits`` (b, 7) and ``bitrate_logits`` (b, 5).
    """
    samples = keras.Input((segment_samples, SEGMENT_CHANNELS), dtype="float32", name="samples")
    features = _image_branch(samples, filters, seed)
    features = keras.layers.Dropout(dropout, seed=seed, name="dropout")(features)
    hidden = keras.layers.Dense(64, activation="relu", name="features")(features)
    lossy = keras.layers.Dense(1, dtype="float32", name="lossy_dense")(hidden)
    outputs = {
        "lossy_logit": keras.layers.Reshape((), dtype="float32", name="lossy_logit")(lossy),
        "family_logits": keras.layers.Dense(len(FAMILIES), dtype="float32", name="family_logits")(hidden),
        "bitrate_logits": keras.layers.Dense(len(BITRATE_CLASSES), dtype="float32", name="bitrate_logits")(hidden),
    }
    return keras.Model(samples, outputs, name=SPECTROGRAM_NAME)


def join_detector(spectrogram: keras.Model, search: keras.Model, follower: keras.Model) -> keras.Model:
    """Join the three networks into the one model that is saved.

    They keep inputs of their own: all segments of a track are heard, some are searched, some are followed.

    Args:
        spectrogram: from ``build_network``.
        search: from ``model.grid.search.build_grid_search``.
        follower: from ``model.grid.follow.build_follower``.

    Returns:
        A model from ``samples``, ``searched``, ``followed``, ``offsets`` and ``rate_hz`` to the outputs of all three.
    """
    samples = keras.Input(spectrogram.input_shape[1:], dtype="float32", name="samples")
    searched = keras.Input(search.input["samples"].shape[1:], dtype="float32", name="searched")
    followed = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name) for name, tensor in follower.input.items()
    }
    found = search({"samples": searched, "rate_hz": followed["rate_hz"]})
    return keras.Model(
        {"samples": samples, "searched": searched, **followed},
        {**spectrogram(samples), **found, **follower(followed)},
        name="lossgate_detector",
    )
