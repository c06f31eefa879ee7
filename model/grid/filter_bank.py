"""Codecs that quantise the samples of a filter bank: every subband a filter, every so many samples."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.evidence import OffsetEvidence
from model.grid.stretches import every_offset

_TOGETHER = 4  # subband samples that one matrix makes of a followed frame; one by one, copying takes half the time


class FilterBankEvidence(OffsetEvidence):
    """Holes of quantised subband samples: (b, n, 2) -> (b, 2 * HALVES, offsets + 1, BANDS, CHANNELS).

    The bank has as many subbands as offsets.  A subclass gives ``offsets``, ``frame``, ``taps``, ``subbands`` and
    ``filters`` besides what every layer has.
    """

    frame: int
    """Samples that are read together, a whole number of ``_TOGETHER`` subband samples."""
    taps: int
    """Length of the filters, samples."""
    subbands: NDArray[np.intp]
    """Those that are looked at."""

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment."""
        super().__init__(stretches, **kwargs)
        filters = self.filters()
        kernel: NDArray[np.float32] = (filters / np.sqrt((filters**2).sum(axis=0))).astype(np.float32)
        self._kernel = kernel
        together = np.zeros((self.taps + self.offsets * (_TOGETHER - 1), _TOGETHER, self.subbands.size), np.float32)
        for slot in range(_TOGETHER):
            together[slot * self.offsets : slot * self.offsets + self.taps, slot] = kernel
        self._together = together.reshape(len(together), -1)

    def filters(self) -> NDArray[np.float64]:
        """Return the analysis filters of the subbands looked at, oldest sample first: (taps, subbands), of any gain."""
        raise NotImplementedError

    def positions(self) -> NDArray[np.float64]:
        """Return each subband's centre as a fraction of Nyquist, once a slot."""
        return np.tile((self.subbands + 0.5) / self.offsets, self.frame // self.offsets)

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, offsets, slots * subbands)."""
        slots, subbands = self.frame // self.offsets, self.subbands.size
        samples = ops.matmul(every_offset(channels, self.frame, self.taps), ops.convert_to_tensor(self._kernel))
        samples = ops.reshape(samples, (2, slots, self.offsets, subbands))
        return ops.reshape(ops.transpose(samples, (0, 2, 1, 3)), (2, self.offsets, slots * subbands))

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, slots * subbands)."""
        starts = range(0, self.frame, self.offsets * _TOGETHER)
        taps = ops.stack([frames[..., start : start + len(self._together)] for start in starts], axis=2)
        # As rows: TensorFlow 2.17 wrote past its result where few rows of two channels met one matrix.
        rows = ops.reshape(taps, (-1, len(self._together)))
        samples = ops.matmul(rows, ops.convert_to_tensor(self._together))
        return ops.reshape(samples, (2, -1, self.frame // self.offsets * self.subbands.size))

    def hop(self) -> int:
        """One frame: the offsets repeat in it."""
        return self.frame
