"""What all families share: stretches in, evidence an offset out."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import BAND_EDGES, HOLE_SHARE, HOLE_WIDTH, LSB_PER_UNIT
from model.grid.errors import GridError
from model.grid.stretches import pick_stretches

BANDS = len(BAND_EDGES) - 1
CHANNELS = 4  # left, right, mid, side
HALVES = 2
"""Of the stretches of a segment.  A quantiser leaves its grid in both halves; the edge of a drum hit next to
silence, which looks like one (z up to 22 on one drum machine), falls on another offset in each (measured)."""


def band_matrix(positions: NDArray[np.float64], band_edges: tuple[float, ...]) -> NDArray[np.float32]:
    """Return (coefficients, BANDS) of 0 and 1: which band holds which coefficient.

    ``positions`` and ``band_edges`` are frequencies as fractions of Nyquist.
    """
    edges = np.asarray(band_edges)
    inside = (positions[:, None] >= edges[:-1]) & (positions[:, None] < edges[1:])
    return inside.astype(np.float32)


class OffsetEvidence(keras.layers.Layer):
    """Base of the families' layers: (b, n, 2) -> (b, HALVES, offsets + 1, BANDS, CHANNELS).

    A subclass gives ``offsets``, ``needed`` (samples a stretch), ``positions`` (fractions
    of Nyquist, one a coefficient) and ``coefficients``.

    The evidence of an offset is the weighted soft count of holes

        sum over frames and bins of  w * exp(-(X / HOLE_WIDTH)^2 / 2)

    with the weight log(1 + p * s / HOLE_WIDTH), s the RMS of that bin over *all* offsets
    of that stretch: the log-likelihood ratio "hole against Gaussian content of level s"
    for the coefficients that matter.  Holes where there is loud content weigh much, and
    in quiet bins nothing.  The weight is the same for all offsets: content cannot favour one.

    The last row is no offset but the unit: the mean weight of one hit, sum w^2 / sum w.
    """

    offsets: int
    needed: int
    band_edges = BAND_EDGES
    pair_scale = 0.5**0.5  # mid and side keep the unit noise gain

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment, an even number."""
        if stretches % HALVES:
            message = f"stretches are searched in {HALVES} halves: {stretches} can't be dealt"
            raise GridError(message)
        kwargs.setdefault("dtype", "float32")
        super().__init__(trainable=False, **kwargs)
        self.stretches = stretches

    def positions(self) -> NDArray[np.float64]:
        """Return the frequency of each coefficient as a fraction of Nyquist."""
        raise NotImplementedError

    def coefficients(self, channels: Any) -> Any:
        """(2, m) left and right -> (2, offsets, coefficients), unit noise gain."""
        raise NotImplementedError

    def in_order(self, rows: Any) -> Any:
        """Sort rows by offset, where ``coefficients`` does not."""
        return rows

    def soft_count(self, channel: Any) -> tuple[Any, Any]:
        """(offsets, coefficients) -> hits of the same shape, and a weight a coefficient."""
        power = ops.square(channel)
        level = ops.sqrt(ops.mean(power, axis=0))
        weight = ops.log1p((HOLE_SHARE / HOLE_WIDTH) * level)
        return ops.exp(power * (-0.5 / HOLE_WIDTH**2)), weight

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, CHANNELS * BANDS): counts, sum of w^2, sum of w."""
        pair = self.coefficients(ops.transpose(stretch) * LSB_PER_UNIT)
        left, right = pair[0], pair[1]
        bands = ops.convert_to_tensor(band_matrix(self.positions(), self.band_edges))
        rows = []
        for channel in (left, right, self.pair_scale * (left + right), self.pair_scale * (left - right)):
            hits, weight = self.soft_count(channel)
            columns = weight[:, None] * bands
            count = self.in_order(ops.matmul(hits, columns))
            squares = ops.sum(weight[:, None] * columns, axis=0, keepdims=True)
            rows.append(ops.concatenate([count, squares, ops.sum(columns, axis=0, keepdims=True)], axis=0))
        return ops.concatenate(rows, axis=-1)

    def call(self, inputs: Any) -> Any:
        """Return the evidence and, in the last row, the weight of one hit."""
        stretches = pick_stretches(inputs, self.hop(), self.needed, self.stretches)
        length = stretches.shape[2]
        # One stretch at a time: all offsets of a whole batch would take gigabytes.
        rows = ops.map(self._one_stretch, ops.reshape(stretches, (-1, length, 2)))
        # Stretches go to the halves in turn, so that both hear the whole segment.
        rows = ops.reshape(rows, (-1, self.stretches // HALVES, HALVES, self.offsets + 2, CHANNELS, BANDS))
        rows = ops.transpose(ops.sum(rows, axis=1), (0, 1, 2, 4, 3))
        hit = rows[:, :, -2:-1] / (rows[:, :, -1:] + 1e-6)
        return ops.concatenate([rows[:, :, :-2], hit], axis=2)

    def hop(self) -> int:
        """Return the grid on which stretches start, in samples."""
        return self.offsets

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, n, 2) -> (b, HALVES, offsets + 1, BANDS, CHANNELS)."""
        return (input_shape[0], HALVES, self.offsets + 1, BANDS, CHANNELS)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        config: dict[str, Any] = {**super().get_config(), "stretches": self.stretches}
        config.pop("trainable", None)
        return config
