"""Layers of the detector, in ``keras.ops`` alone: they run on every Keras backend."""

from typing import Any

import keras
from keras import ops

from model.constants import (
    MASK_LOWEST_FRACTION,
    MASK_PROBABILITY,
    STFT_FLOOR_DB,
    STFT_FRAME_SAMPLES,
    STFT_HOP_SAMPLES,
)


@keras.saving.register_keras_serializable("lossgate")
class MidSide(keras.layers.Layer):
    """Left and right to mid and side: (b, n, 2) -> (b, n, 2).

    Joint-stereo coding leaves its marks in the side channel, often only there.
    """

    def call(self, inputs: Any) -> Any:
        """Return half the sum and half the difference."""
        left, right = inputs[..., 0], inputs[..., 1]
        return ops.stack([0.5 * (left + right), 0.5 * (left - right)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Same as the input."""
        return tuple(input_shape)


@keras.saving.register_keras_serializable("lossgate")
class LogMagnitudeSTFT(keras.layers.Layer):
    """Samples to an image in decibels: (b, n, c) -> (b, frames, bins, c).

    ``frames = 1 + (n - frame_samples) // hop_samples`` (no padding at the edges);
    ``bins = frame_samples // 2`` (DC is dropped: no codec leaves a trace there).
    0 dB is a full-scale sine; values end at ``floor_db``.
    """

    def __init__(
        self,
        frame_samples: int = STFT_FRAME_SAMPLES,
        hop_samples: int = STFT_HOP_SAMPLES,
        floor_db: float = STFT_FLOOR_DB,
        **kwargs: Any,
    ) -> None:
        """Keep the sizes; the window is periodic Hann."""
        super().__init__(**kwargs)
        self.frame_samples = frame_samples
        self.hop_samples = hop_samples
        self.floor_db = floor_db

    def call(self, inputs: Any) -> Any:
        """Return the log-magnitude image."""
        channels_first = ops.transpose(inputs, (0, 2, 1))
        real, imaginary = ops.stft(
            channels_first,
            sequence_length=self.frame_samples,
            sequence_stride=self.hop_samples,
            fft_length=self.frame_samples,
            window="hann",
            center=False,
        )
        # A Hann window sums to half its length; a full-scale sine then peaks at a quarter.
        reference = (self.frame_samples / 4.0) ** 2
        power = (ops.square(real) + ops.square(imaginary)) / reference
        floor = 10.0 ** (self.floor_db / 10.0)
        decibels = ops.log(ops.maximum(power, floor)) * (10.0 / 2.302585092994046)
        return ops.transpose(decibels[..., 1:], (0, 2, 3, 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, n, c) -> (b, frames, bins, c)."""
        batch, samples, channels = input_shape
        frames = None if samples is None else 1 + (samples - self.frame_samples) // self.hop_samples
        return (batch, frames, self.frame_samples // 2, channels)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {
            **super().get_config(),
            "frame_samples": self.frame_samples,
            "hop_samples": self.hop_samples,
            "floor_db": self.floor_db,
        }


@keras.saving.register_keras_serializable("lossgate")
class RandomHighFrequencyMask(keras.layers.Layer):
    """Blank all bins above a random frequency, in training only.

    (b, frames, bins, c) -> the same.  Without it the network learns nothing but the
    encoders' cut-off and rejects every low-passed master (Koops 2024).
    """

    def __init__(
        self,
        probability: float = MASK_PROBABILITY,
        lowest_fraction: float = MASK_LOWEST_FRACTION,
        fill: float = STFT_FLOOR_DB,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Mask an image with ``probability``, above a fraction of the bins drawn evenly."""
        super().__init__(**kwargs)
        self.probability = probability
        self.lowest_fraction = lowest_fraction
        self.fill = fill
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the masked images in training, the inputs otherwise."""
        if not training:
            return inputs
        batch, bins = ops.shape(inputs)[0], ops.shape(inputs)[2]
        draw = keras.random.uniform((batch, 1, 1, 1), seed=self.seed_generator)
        edge = keras.random.uniform((batch, 1, 1, 1), self.lowest_fraction, 1.0, seed=self.seed_generator)
        edge = ops.where(draw < self.probability, edge, ops.ones_like(edge))
        position = ops.cast(ops.arange(bins), "float32") / ops.cast(bins, "float32")
        keep = ops.reshape(position, (1, 1, -1, 1)) < edge
        return ops.where(keep, inputs, ops.full_like(inputs, self.fill))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Same as the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {
            **super().get_config(),
            "probability": self.probability,
            "lowest_fraction": self.lowest_fraction,
            "fill": self.fill,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("lossgate")
class PerImageNormalisation(keras.layers.Layer):
    """Zero mean, unit spread over each image: (b, frames, bins, c) -> the same.

    Mid and side are normalised together, so that their ratio survives.  A quieter copy of
    a track gives the same image.
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        """``epsilon`` in dB keeps an image of digital silence finite."""
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs: Any) -> Any:
        """Return the normalised images."""
        mean = ops.mean(inputs, axis=(1, 2, 3), keepdims=True)
        spread = ops.std(inputs, axis=(1, 2, 3), keepdims=True)
        return (inputs - mean) / (spread + self.epsilon)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Same as the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("lossgate")
class MeanOverTime(keras.layers.Layer):
    """Mean over the frames: (b, frames, bins, c) -> (b, bins, c)."""

    def call(self, inputs: Any) -> Any:
        """Return the mean."""
        return ops.mean(inputs, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, frames, bins, c) -> (b, bins, c)."""
        batch, _, bins, channels = input_shape
        return (batch, bins, channels)
