"""What all families share: stretches in, evidence an offset out."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import (
    AUDIBLE_SHARE,
    BAND_EDGES,
    HOLE_SHARE,
    HOLE_WIDTH,
    LSB_PER_UNIT,
    QUIET_COUNT,
    RELATIVE_HOLE_WIDTH,
    STEADY,
    UNSTEADY,
)
from model.grid.errors import GridError
from model.grid.row_by_row import row_by_row
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
    """Base of the families' layers: (b, n, 2) -> (b, statistics * HALVES, offsets + 1, BANDS, CHANNELS).

    A subclass gives ``offsets``, ``needed`` (samples a stretch), ``positions`` (fractions
    of Nyquist, one a coefficient) and ``coefficients``; and, for frames that are read one by one
    (``model.grid.follow``), ``window``, ``stride`` and ``frame_coefficients``.

    The evidence of an offset is the weighted soft count of holes

        sum over frames and bins of  w * exp(-(X / HOLE_WIDTH)^2 / 2)

    with the weight log(1 + p * s / HOLE_WIDTH), s the RMS of that bin over *all* offsets
    of that stretch: the log-likelihood ratio "hole against Gaussian content of level s"
    for the coefficients that matter.  Holes where there is loud content weigh much, and
    in quiet bins nothing.  The weight is the same for all offsets: content cannot favour one.

    Two statistics are counted.  An *exact* hole is as deep as the rounding noise.  A *relative* one is shallow:
    a filter or a smooth gain after the decoder fills holes with a little of their neighbours, so its width is a share
    of the bin's own level.  On decodes as they are the exact one finds more, on equalised ones the relative one
    (measured: MP3 320, mild EQ: z 8 against 18).

    Frames count by their energy in a band, up to AUDIBLE_SHARE of the mean over all offsets: a quantiser makes holes
    between coefficients that are not.  A frame that fits into the silence before a drum hit is nothing but holes, and
    as sharp a line over the offsets as a codec's (z up to 38 on one drum machine, measured).  For relative holes a
    frame that is merely quieter than the others does the same; only bands that keep their level count them.

    The last row is no offset but the unit: the mean weight of one hit, sum w^2 / sum w.
    """

    statistics = 2
    hole_statistics = 2
    """The first so many count holes: never negative, and with a long tail."""

    offsets: int
    """Frame offsets that are told apart; the frame lasts so many ``1 / fineness`` samples."""
    fineness = 1
    """Offsets a sample."""
    cells: tuple[int, int] = (BANDS, CHANNELS)
    """Of an offset's evidence."""
    needed: int
    window: int
    """Samples under one frame's transform."""
    stride = 1
    """Every so many frames one is read where frames are followed."""
    band_edges: tuple[float, ...] = BAND_EDGES
    even = False
    """Whether stretches are searched where the sound is even, not only loud; see ``pick_stretches``."""
    pair_scale = 0.5**0.5  # mid and side keep the unit noise gain
    is_followed = True
    """Whether its candidates are (``model.grid.follow``), or the search alone says what there is."""
    rate_hz: int | None = None
    """Of the only segments that are searched, where others can't have this grid."""

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

    def prepared(self, channels: Any) -> Any:
        """Return left and right (2, m) as ``frame_coefficients`` wants them to be cut."""
        return channels

    def whole_samples(self, channels: Any, offset: Any) -> tuple[Any, Any]:
        """Return left and right (2, m), moved by less than a sample, and the whole samples (): where frames begin."""
        return channels, offset

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, coefficients), as ``coefficients``; the order is ``positions``'."""
        raise NotImplementedError

    def in_order(self, rows: Any) -> Any:
        """Sort rows by offset, where ``coefficients`` does not."""
        return rows

    def channels_of(self, pair: Any) -> tuple[Any, Any, Any, Any]:
        """Return left, right, mid and side of left and right (2, ...)."""
        left, right = pair[0], pair[1]
        return left, right, self.pair_scale * (left + right), self.pair_scale * (left - right)

    def soft_counts(self, channel: Any, level: Any, steady: Any) -> list[tuple[Any, Any]]:
        """Count holes, softly.

        Args:
            channel: (..., coefficients).
            level: RMS of each coefficient around there, of a shape that ``channel`` broadcasts with.
            steady: (coefficients,), 1 where the band keeps its level over all offsets, 0 where it is silent in between.

        Returns:
            For each of ``statistics`` hits of ``channel``'s shape, and weights of ``level``'s.
        """
        power = ops.square(channel)
        exact = ops.exp(power * (-0.5 / HOLE_WIDTH**2)), ops.log1p((HOLE_SHARE / HOLE_WIDTH) * level)
        width = ops.maximum(RELATIVE_HOLE_WIDTH * level, HOLE_WIDTH)
        relative = ops.exp(power * (-0.5 / ops.square(width))), steady * ops.log1p(HOLE_SHARE * level / width)
        return [exact, relative][: self.statistics]

    def band_counts(self, channel: Any, level: Any, steady: Any, bands: Any) -> list[Any]:
        """Count in bands what ``soft_counts`` says of frames that are read one by one.

        Args:
            channel: (..., coefficients).
            level: as of ``soft_counts``.
            steady: as well.
            bands: (coefficients, BANDS), which band holds which coefficient.

        Returns:
            For each statistic the counts: (..., BANDS).
        """
        return [ops.matmul(hits * weight, bands) for hits, weight in self.soft_counts(channel, level, steady)]

    def frame_counts(self, frames: Any) -> list[Any]:
        """Count in frames that are read one by one.

        Args:
            frames: (2, frames, places, window), neighbours in time next to each other.

        Returns:
            For each statistic the counts of all frames but the first and the last: (frames - 2, places).
        """
        count, places = frames.shape[1], frames.shape[2]
        pair = self.frame_coefficients(ops.reshape(frames, (2, -1, self.window)))
        pair = ops.reshape(pair, (2, count, places, -1))
        bands = ops.convert_to_tensor(band_matrix(self.positions(), self.band_edges))
        counts: list[Any] = [0.0] * self.statistics
        for channel in self.channels_of(pair):
            power = ops.square(channel)
            # From the frames before and after, so that no offset is measured by itself.
            around = ops.mean(power, axis=1, keepdims=True)
            around = 0.5 * (around[:-2] + around[2:])
            energy = ops.matmul(power[1:-1], bands) / (ops.matmul(around, bands) + 1e-6)
            audible = ops.minimum(energy / AUDIBLE_SHARE, 1.0)
            steady = ops.ones_like(around)
            for statistic, found in enumerate(self.band_counts(channel[1:-1], ops.sqrt(around), steady, bands)):
                counts[statistic] += ops.sum(audible * found, axis=-1)
        return counts

    def stabilised(self, statistic: int, counts: Any) -> Any:
        """Return counts of single frames on a scale on which no single frame decides; the same shape."""
        return ops.sqrt(counts + QUIET_COUNT) if statistic < self.hole_statistics else counts

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, statistics * CHANNELS * BANDS): counts, sum of w^2, sum of w."""
        pair = self.coefficients(ops.transpose(stretch) * LSB_PER_UNIT)
        bands = ops.convert_to_tensor(band_matrix(self.positions(), self.band_edges))
        rows: list[list[Any]] = [[] for _ in range(self.statistics)]
        for channel in self.channels_of(pair):
            power = ops.square(channel)
            level = ops.sqrt(ops.mean(power, axis=0))
            energy = ops.matmul(power, bands)
            energy = energy / (ops.mean(energy, axis=0, keepdims=True) + 1e-6)
            audible = ops.minimum(energy / AUDIBLE_SHARE, 1.0)
            steadiness = ops.clip((ops.min(energy, axis=0) - UNSTEADY) / (STEADY - UNSTEADY), 0.0, 1.0)
            steady = ops.matmul(bands, steadiness[:, None])[:, 0]
            for statistic, (hits, weight) in enumerate(self.soft_counts(channel, level, steady)):
                columns = weight[:, None] * bands
                count = self.in_order(audible * ops.matmul(hits, columns))
                squares = ops.sum(weight[:, None] * columns, axis=0, keepdims=True)
                total = ops.sum(columns, axis=0, keepdims=True)
                rows[statistic].append(ops.concatenate([count, squares, total], axis=0))
        return ops.concatenate([row for statistic in rows for row in statistic], axis=-1)

    def with_chance(self, counts: Any) -> Any:
        """Add what keeps the spread of unweighted hits at 1 or more: (offsets, cells) -> (offsets + 2, cells).

        Thin material has next to none of its own.
        """
        ones = ops.ones_like(counts[:1])
        return ops.concatenate([counts, ones, ones], axis=0)

    def each_at_own_rate(
        self, found: Callable[..., Any], rows: tuple[Any, ...], rates: Any, shape: tuple[int, ...]
    ) -> Any:
        """Return ``found`` of each row, of that shape, or zeros where its rate is not ``rate_hz``: (b, *shape).

        Args:
            found: takes one row's part of each of ``rows``.
            rows: each (b, ...).
            rates: (b,), in hertz, or None: then, and where the layer has no ``rate_hz``, no row is left out.
            shape: of what is found in a row.
        """
        if rates is None or self.rate_hz is None:
            return row_by_row(found, rows, shape)

        def or_zeros(*row: Any) -> Any:
            *parts, rate = row
            return ops.cond(
                ops.equal(rate, self.rate_hz), lambda: found(*parts), lambda: ops.zeros(shape, dtype="float32")
            )

        return row_by_row(or_zeros, (*rows, rates), shape)

    def call(self, samples: Any, rates: Any = None) -> Any:
        """Return the evidence and, in the last row, the weight of one hit.

        Args:
            samples: (b, n, 2).
            rates: (b,), in hertz; where a layer has a ``rate_hz``, rows of others are zeros and cost nothing.
        """
        stretches = pick_stretches(samples, self.hop(), self.needed, self.stretches, even=self.even)
        length = stretches.shape[2]
        statistics, (bands, channels) = self.searched_statistics(), self.cells
        # One stretch at a time: all offsets of a whole batch would take gigabytes.
        rows = self.each_at_own_rate(
            self._one_stretch,
            (ops.reshape(stretches, (-1, length, 2)),),
            None if rates is None else ops.repeat(rates, self.stretches),
            (self.offsets + 2, statistics * channels * bands),
        )
        # Stretches go to the halves in turn, so that both hear the whole segment.
        shape = (self.stretches // HALVES, HALVES, self.offsets + 2, statistics, channels, bands)
        rows = ops.sum(ops.reshape(rows, (-1, *shape)), axis=1)
        rows = ops.transpose(rows, (0, 3, 1, 2, 5, 4))
        rows = ops.reshape(rows, (-1, statistics * HALVES, self.offsets + 2, bands, channels))
        hit = rows[:, :, -2:-1] / (rows[:, :, -1:] + 1e-6)
        return ops.concatenate([rows[:, :, :-2], hit], axis=2)

    def hop(self) -> int:
        """Return the grid on which stretches start, in samples."""
        return self.offsets

    def searched_statistics(self) -> int:
        """Return how many statistics ``call`` counts; following counts all."""
        return self.statistics

    def compute_output_shape(
        self, samples_shape: tuple[int | None, ...], rates_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        """(b, n, 2) -> (b, statistics * HALVES, offsets + 1, BANDS, CHANNELS)."""
        del rates_shape
        return (samples_shape[0], self.searched_statistics() * HALVES, self.offsets + 1, *self.cells)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        config: dict[str, Any] = {**super().get_config(), "stretches": self.stretches}
        config.pop("trainable", None)
        return config
