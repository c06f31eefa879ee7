"""Sound that is the same again a few frames later: it says one thing many times, and proves nothing."""

from typing import Any, Final

import keras
from keras import ops

from model.grid.evidence import OffsetEvidence

_APART: Final = 1_024  # samples at least, from what is compared to what: low notes change little in less
_LATEST: Final = 6  # of these lengths: a period may divide a few frames, and not one
# Correlation from which frames say the same.  In 6,675 segments of music, notes, noise and their decodes the highest
# are 0.9987 (a marimba) and 0.9981 (a vibraphone); two test tones of a plug-in, true ones, have 1 (measured).
_THE_SAME: Final = 0.999


def whole_frames(grid: OffsetEvidence) -> int:
    """Return how many samples lie between frames that are compared: whole frames of the grid, ``_APART`` at least."""
    frame = grid.offsets // grid.fineness
    return -(-_APART // frame) * frame


@keras.saving.register_keras_serializable("lossgate")
class SaysNewThings(keras.layers.Layer):
    """Whether frames of a length hear something else each: (b, n, 2) -> (b,), 1 where they do and 0 where not.

    A tone whose period divides a codec's frame is the same in each of them, sample for sample.  Whatever its lines look
    like at an offset they look like a hundred times, and the grids' deviations, which take frames for independent, grow
    to tens of thousands (a square of 64 samples in AAC's short blocks: 8,312).  What is compared is the first
    difference: the grids look at high frequencies, and hum changes little from frame to frame.
    """

    def __init__(self, apart: int, **kwargs: Any) -> None:
        """Compare what lies once to ``_LATEST`` times ``apart`` samples apart."""
        kwargs.setdefault("dtype", "float32")
        super().__init__(trainable=False, **kwargs)
        self.apart = apart

    def call(self, samples: Any) -> Any:
        """Return 1 or 0 a row: by the windows' correlations with later ones, weighted by their energy."""
        high = samples[:, 1:] - samples[:, :-1]
        count = high.shape[1] // self.apart
        windows = ops.reshape(high[:, : count * self.apart], (-1, count, 2 * self.apart))
        new = ops.ones_like(windows[:, 0, 0])
        for lengths in range(1, min(_LATEST, count - 1) + 1):
            now, later = windows[:, :-lengths], windows[:, lengths:]
            alike = ops.abs(ops.sum(now * later, axis=-1))
            energy = ops.sqrt(ops.sum(ops.square(now), axis=-1) * ops.sum(ops.square(later), axis=-1))
            differ = ops.sum(alike, axis=1) <= _THE_SAME * ops.sum(energy, axis=1)
            new = new * ops.cast(differ, new.dtype)
        return new

    def compute_output_shape(self, samples_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, n, 2) -> (b,)."""
        return (samples_shape[0],)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        config: dict[str, Any] = {**super().get_config(), "apart": self.apart}
        config.pop("trainable", None)
        return config


class Repetition:
    """The layers that the grids of a network share, one for each length and input."""

    def __init__(self) -> None:
        """Begin with none."""
        self._heard: dict[tuple[int, int], Any] = {}

    def where_new(self, grid: OffsetEvidence, samples: Any, scores: Any) -> Any:
        """Return scores (b, ...), or zeros where the samples (b, n, 2) repeat themselves every few frames."""
        apart = whole_frames(grid)
        key = apart, id(samples)
        if key not in self._heard:
            self._heard[key] = SaysNewThings(apart)(samples)
        return scores * ops.reshape(self._heard[key], (-1, *(1,) * (len(scores.shape) - 1)))
