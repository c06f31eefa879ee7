"""SBC, Bluetooth's codec: eight subbands, whose samples lie on lattices of known step.

A sample is decoded as a whole number of steps, the step 2 S / (2^bits - 1) with S a power of two above the subband's
largest sample in a frame (A2DP specification 1.3, appendix B, 12.6.4).  So only the bits have to be tried, and the
smallest S will do: the lattice of twice as large an S is part of it.
"""

from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import LSB_PER_UNIT, SBC_SUBBANDS, SBC_TAPS
from model.grid.evidence import OffsetEvidence
from model.grid.sbc_prototype import analysis_matrix
from model.grid.stretches import every_offset

_BLOCKS: Final = 4  # that are read together, samples of each subband; a frame has 4 to 16, and S may differ in the next
_SPAN: Final = 1_024  # samples of a stretch, a whole number of frames
_FEWEST_BITS: Final = 2
_MOST_BITS: Final = 12  # a sample; with more, as sparse music has, nothing more is found (measured)
_NARROWEST: Final = (
    2.5  # 16-bit steps; 4 finds more in loud music, where there is plenty, and less in single notes (measured)
)
_BLUR: Final = 0.003  # of 1 - the mean cosine; 0.01 finds a tenth less (measured)


@keras.saving.register_keras_serializable("lossgate")
class SBCEvidence(OffsetEvidence):
    """How near subband samples lie to SBC's lattices: (b, n, 2) -> (b, HALVES, 33, 1, 1).

    Four blocks of eight samples are an offset's period: longer ones of the codec's own frame add nothing, shorter ones
    could not be told from chance.  It lives on the decoder's exact level; after a gain only the coarsest steps still
    show.  It is not followed: a tone whose period the blocks divide says the same in all of them, and one phase of
    eight always suits some lattice; only the other offsets tell.
    """

    offsets = _BLOCKS * SBC_SUBBANDS
    statistics = 1
    hole_statistics = 0
    cells = (1, 1)
    is_followed = False
    needed = _SPAN + SBC_TAPS + offsets - SBC_SUBBANDS
    pair_scale = 0.5  # SBC codes (L + R) / 2 and (L - R) / 2

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment."""
        super().__init__(stretches, **kwargs)
        filters: NDArray[np.float64] = analysis_matrix()
        unit = float(np.sqrt((filters**2).sum(axis=0)).mean())
        self._kernel: NDArray[np.float32] = (filters / unit).astype(np.float32)
        self._unit = 1.0 / unit
        """One of the standard's, in 16-bit steps of filters with unit noise gain."""

    def near(self, samples: Any) -> Any:
        """Score how near blocks that are read together lie to the best lattice: _BLOCKS of (...) -> (...).

        The logarithm of how seldom chance would come as near.
        """
        largest = ops.abs(samples[0])
        for sample in samples[1:]:
            largest = ops.maximum(largest, ops.abs(sample))
        octave = ops.ceil(ops.log2(largest / self._unit + 1e-6))
        twice = (2.0 * self._unit) * ops.exp(np.log(2.0) * octave)

        def with_more(bits: Any, best: Any) -> Any:
            step = twice / (ops.exp(np.log(2.0) * ops.cast(bits, twice.dtype)) - 1.0)
            turns = (2.0 * np.pi) / step
            near = sum((ops.cos(sample * turns) for sample in samples[1:]), ops.cos(samples[0] * turns))
            away = 1.0 + _BLUR - near / _BLOCKS
            return ops.minimum(best, ops.where(step >= _NARROWEST, away, 1.0))

        # A loop of the graph: unrolled, XLA compiles it for much longer.
        best = ops.fori_loop(_FEWEST_BITS, _MOST_BITS + 1, with_more, ops.ones_like(twice))
        return -0.5 * (_BLOCKS - 1) * ops.log(best)

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, 1): counts, and twice what makes one hit of them."""
        channels = ops.transpose(stretch) * LSB_PER_UNIT
        every = ops.stack(self.channels_of(channels))
        positions = _SPAN + self.offsets
        lines = ops.matmul(every_offset(every, positions, SBC_TAPS), ops.convert_to_tensor(self._kernel))
        starts = range(0, self.offsets, SBC_SUBBANDS)
        blocks = [ops.reshape(lines[:, one : one + _SPAN], (4, -1, self.offsets, SBC_SUBBANDS)) for one in starts]
        counts = ops.sum(self.near(blocks), axis=(0, 1, 3))[:, None]
        return self.with_chance(counts)

    def hop(self) -> int:
        """One span: the offsets repeat in it."""
        return _SPAN
