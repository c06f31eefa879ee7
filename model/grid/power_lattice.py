"""MP3 and AAC where they leave no holes: what they quantise lies on a lattice of known steps.

Both code a line as a whole number n and a step a band, and decode sign(n) * |n|^(4/3) * step.  Every step is a power of
2^(1/4) times a unit of the codec's own, so at the right frame offset few steps need to be tried.  A sparse recording at
320 kbit/s has next to no zeros where there is sound, and the holes' layers miss it; but one frame of it has hundreds of
lines that lie nowhere else so well.
"""

from typing import Any, Final

import keras
import numpy as np
from keras import ops

from model.grid.constants import AAC_HOP, AAC_KBD_ALPHA, LSB_PER_UNIT, MP3_GRANULE
from model.grid.evidence import CHANNELS, OffsetEvidence, band_matrix
from model.grid.mdct import MDCTEvidence
from model.grid.mp3_hybrid import HybridEvidence

# A line tells where the lattice is so much wider than the rounding; of 0.8 to 1.6 this found most (measured).
_TELLING_GAP: Final = 1.3  # 16-bit steps between neighbouring values of n
_NOT_ZERO: Final = 0.6  # of n; what was quantised to zero is a hole, and silence has holes, too
_FULL_SCORE: Final = 6.0  # of a band; more of the same is no more certain

# Edges of scale factor bands at 44.1 kHz, lines, from 0.5 or 0.8 to 5 or 6 kHz: where lines are large.  AAC's up to
# 8 kHz find the same and cost twice as much (measured).
_MP3_EDGES: Final = (20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162)  # of 576 (ISO/IEC 11172-3, table B.8)
_AAC_EDGES: Final = (  # of 1,024 (ISO/IEC 14496-3, 4.5.4); the narrowest two by two
    *(24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 108, 120, 132, 144, 160, 176, 196, 216),
)


class PowerLattice(OffsetEvidence):
    """How near a band's lines come to the best of its lattices; mixed into the layer of a transform.

    (b, n, 2) -> (b, HALVES, offsets + 1, bands, CHANNELS).  With n the values that a line would have been quantised to,
    a step scores ``sum of cos(2 pi n) / sqrt(their number / 2)`` over the lines that tell: about normal for anything
    that was not quantised.  A band counts the square of its best step's score.

    It lives on the decoder's exact level; any gain afterwards ends it.
    """

    statistics = 1
    hole_statistics = 0
    steps: int
    """That are tried: from a band's level downwards, four an octave."""
    unit: float
    """One of the codec's steps, in 16-bit steps of an orthonormal transform; the others are 2^(k/4) times as large."""

    def band_counts(self, channel: Any, level: Any, steady: Any, bands: Any) -> list[Any]:
        """(..., lines) -> [(..., bands)]: the squared score of each band's best step."""
        del steady
        power = ops.matmul(ops.square(level), bands) / (ops.sum(bands, axis=0) + 1e-6)
        octaves = 0.5 / np.log(2.0) * ops.log(ops.maximum(power, 1e-6) / self.unit**2)
        largest = self.unit * ops.exp(np.log(2.0) / 4.0 * ops.floor(4.0 * octaves))
        step = ops.matmul(largest, ops.transpose(bands)) + (1.0 - ops.sum(bands, axis=1))  # of each line
        size = ops.abs(channel)
        quantised = (size / step) ** 0.75

        def with_smaller_step(k: Any, best: Any) -> Any:
            quarters = ops.cast(k, channel.dtype) / 4.0
            tried = step * 2.0**-quarters
            # From n to n + 1 it is 4/3 * n^(1/3) steps.
            wide = (0.75 * _TELLING_GAP) ** 4 / tried**3
            told = ops.cast(size > ops.maximum(_NOT_ZERO ** (4 / 3) * tried, wide), channel.dtype)
            near = told * ops.cos(quantised * (2.0 * np.pi * 2.0 ** (0.75 * quarters)))
            score = ops.matmul(near, bands) / ops.sqrt(0.5 * ops.matmul(told, bands) + 0.5)
            return ops.maximum(best, score)

        # A loop of the graph: unrolled, XLA compiles it for a minute.
        best = ops.fori_loop(0, self.steps, with_smaller_step, ops.zeros_like(ops.matmul(channel, bands)))
        return [ops.square(ops.minimum(best, _FULL_SCORE))]

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, CHANNELS * bands): counts, and twice what makes one hit of them."""
        pair = self.coefficients(ops.transpose(stretch) * LSB_PER_UNIT)
        bands = ops.convert_to_tensor(band_matrix(self.positions(), self.band_edges))
        rows = []
        for channel in self.channels_of(pair):
            level = ops.sqrt(ops.mean(ops.square(channel), axis=0))
            count = self.in_order(self.band_counts(channel, level, None, bands)[0])
            rows.append(self.with_chance(count))
        return ops.concatenate(rows, axis=-1)


@keras.saving.register_keras_serializable("lossgate")
class MP3LatticeEvidence(PowerLattice, HybridEvidence):
    """Lattices of MP3's long blocks: (b, n, 2) -> (b, HALVES, 577, 11, CHANNELS)."""

    steps = 40  # at 320 kbit/s they are a thousandth of the loudest line; of 28, 34 and 40 this found most (measured)
    # Three times a power of sqrt(2): an orthonormal block of 18 lines is 3 times the standard's, its filter bank
    # 2^(5/2), and full scale 2^15.  With a unit a twelfth of an octave beside it dull decodes score half (measured).
    unit = 3.0
    subbands = np.arange(10)
    stride = 6
    band_edges = tuple(edge / MP3_GRANULE for edge in _MP3_EDGES)
    cells = (len(_MP3_EDGES) - 1, CHANNELS)


@keras.saving.register_keras_serializable("lossgate")
class AACLatticeEvidence(PowerLattice, MDCTEvidence):
    """Lattices of AAC's long blocks: (b, n, 2) -> (b, HALVES, 1,025, 17, CHANNELS)."""

    steps = 34  # 40 find the same (measured)
    # The standard's MDCT is 2^(11/2) times the orthonormal one, and full scale 2^15.
    unit = 1.0
    pair_scale = 0.5  # AAC codes (L + R) / 2 and (L - R) / 2
    band_edges = tuple(edge / AAC_HOP for edge in _AAC_EDGES)
    cells = (len(_AAC_EDGES) - 1, CHANNELS)

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment."""
        super().__init__(AAC_HOP, "kbd", stretches, alpha=AAC_KBD_ALPHA, **kwargs)
        self.stride = 3

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return self.config_of_fixed_transform()
