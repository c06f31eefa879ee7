"""MPEG-1 layers II and III: the polyphase filterbank, and the hybrid on top of it."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import BAND_EDGES, MP3_GRANULE, MP3_SHORT_HOP, MPEG_SUBBANDS, MPEG_TAPS
from model.grid.evidence import OffsetEvidence
from model.grid.filter_bank import FilterBankEvidence
from model.grid.mpeg_prototype import analysis_matrix
from model.grid.stretches import every_offset

_LAYER_2_FRAME = 1_152  # samples
# Alias coefficients of ISO/IEC 11172-3, table B.9.
_ALIAS = np.array([-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037])
_CS = (1.0 / np.sqrt(1.0 + _ALIAS**2)).astype(np.float32)
_CA = (_ALIAS / np.sqrt(1.0 + _ALIAS**2)).astype(np.float32)
_SUBBANDS = np.arange(int(BAND_EDGES[0] * MPEG_SUBBANDS), int(BAND_EDGES[-1] * MPEG_SUBBANDS) + 2)


@functools.cache
def _subband_kernel(first: int, end: int) -> NDArray[np.float32]:
    """Return the polyphase filters of some subbands, unit noise gain: shape (512, end - first)."""
    matrix = analysis_matrix(np.arange(first, end))
    kernel: NDArray[np.float32] = (matrix / np.sqrt((matrix**2).sum(axis=0))).astype(np.float32)
    return kernel


def _ends(subbands: NDArray[np.intp]) -> tuple[int, int]:
    """Return the first of subbands that follow each other, and the one after the last."""
    return int(subbands[0]), int(subbands[-1]) + 1


def _block(lines: int) -> NDArray[np.float64]:
    """(lines, 2 * lines): the sine-windowed MDCT of a subband's samples, orthonormal."""
    n, k = np.arange(2 * lines), np.arange(lines)[:, None]
    window = np.sin(np.pi / (2 * lines) * (n + 0.5))
    matrix: NDArray[np.float64] = window * np.cos(np.pi / (4 * lines) * (2 * n + 1 + lines) * (2 * k + 1))
    return matrix * np.sqrt(2.0 / lines)


@keras.saving.register_keras_serializable("lossgate")
class HybridEvidence(OffsetEvidence):
    """Holes of MP3's long-block hybrid: (b, n, 2) -> (b, 2 * HALVES, 577, BANDS, CHANNELS).

    Polyphase -> frequency inversion -> MDCT of 36 -> alias butterflies at all 576
    alignments, one granule a stretch.
    """

    offsets = MP3_GRANULE
    lines = MP3_GRANULE // MPEG_SUBBANDS
    """A subband and block."""
    butterflies = True
    subbands = _SUBBANDS
    """Those that are looked at; they follow each other."""
    window = MPEG_TAPS + MPEG_SUBBANDS * (2 * lines - 1)  # 1,632 samples: 36 overlapping slots
    # The first of 512 taps to the last subband sample of the last alignment.
    needed = window + offsets - 1
    even = True  # attacks are coded in short blocks; V0 from 40 to 117 sigma, 73 to 141 (measured, validation)

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of Nyquist: line-major, subbands inside."""
        line = np.arange(self.lines)[:, None]
        frequency = (self.subbands * self.lines + line + 0.5) / self.offsets
        if self.butterflies:
            frequency[:, [0, -1]] = -1.0  # theirs lack a neighbour
        return frequency.reshape(-1)

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, offsets, lines * subbands)."""
        count, subbands = self.lines, self.subbands.size
        slots = 3 * count - 1
        kernel = ops.convert_to_tensor(_subband_kernel(*_ends(self.subbands)))
        samples = ops.matmul(every_offset(channels, slots * MPEG_SUBBANDS, MPEG_TAPS), kernel)
        samples = ops.reshape(samples, (2, slots, MPEG_SUBBANDS, subbands))
        # Frequency inversion: odd samples of odd subbands change sign.  Counted here from
        # the stretch and not from the block, which odd block starts then undo.
        odd = (self.subbands % 2 == 1)[None, None, :]
        slot = (np.arange(slots) % 2 == 1)[:, None, None]
        sign = np.where(odd & slot, -1.0, 1.0).astype(np.float32)
        rows = ops.reshape(samples * sign, (2, slots, MPEG_SUBBANDS * subbands))
        windows = ops.stack([rows[:, first : first + 2 * count] for first in range(count)], axis=1)
        lines = ops.matmul(ops.convert_to_tensor(_block(count).astype(np.float32)), windows)
        lines = ops.reshape(lines, (2, count, count, MPEG_SUBBANDS, subbands)) * sign[:count, None]
        lines = _butterflies(lines) if self.butterflies else lines
        return ops.reshape(ops.transpose(lines, (0, 1, 3, 2, 4)), (2, self.offsets, count * subbands))

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, blocks, window) -> (2, blocks, lines * subbands): polyphase, MDCT and butterflies in one matrix."""
        kernel = _block_kernel(self.lines, *_ends(self.subbands), butterflies=self.butterflies)
        return ops.matmul(frames, ops.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("lossgate")
class ShortHybridEvidence(HybridEvidence):
    """Holes of MP3's short blocks: (b, n, 2) -> (b, 2 * HALVES, 193, BANDS, CHANNELS).

    Three of them make a granule, and their windows begin 6, 12 and 18 slots after it does: all on one grid of 6 slots,
    an even number, so that the inversion is the same in each.  Encoders cut attacks into them, and alias reduction is
    for long blocks only.
    """

    offsets = MP3_SHORT_HOP
    lines = MP3_SHORT_HOP // MPEG_SUBBANDS
    butterflies = False
    window = MPEG_TAPS + MPEG_SUBBANDS * (2 * lines - 1)  # 864 samples: 12 overlapping slots
    needed = window + offsets - 1
    even = False  # attacks are what they are for


def _butterflies(lines: Any) -> Any:
    """Undo the decoder's alias reduction: (c, q, 18 lines, phases, subbands) -> the same."""
    count = _ALIAS.size
    cs, ca = _CS[:, None, None], _CA[:, None, None]
    low, high = lines[:, :, :count], ops.flip(lines[:, :, -count:], axis=2)
    above, below = low[..., 1:], high[..., :-1]
    low = ops.concatenate([low[..., :1], above * cs - below * ca], axis=-1)
    high = ops.concatenate([below * cs + above * ca, high[..., -1:]], axis=-1)
    return ops.concatenate([low, lines[:, :, count:-count], ops.flip(high, axis=2)], axis=2)


@functools.cache
def _block_kernel(count: int, first: int, end: int, *, butterflies: bool) -> NDArray[np.float32]:
    """Return what the hybrid makes of the window of a block of ``count`` lines: shape (window, count * subbands)."""
    matrix = _subband_kernel(first, end)
    window = MPEG_TAPS + MPEG_SUBBANDS * (2 * count - 1)
    slots = np.zeros((2 * count, window, end - first))
    for slot in range(2 * count):
        slots[slot, slot * MPEG_SUBBANDS : slot * MPEG_SUBBANDS + MPEG_TAPS] = matrix
    slots[1::2, :, np.arange(first, end) % 2 == 1] *= -1.0  # frequency inversion
    lines = np.tensordot(_block(count), slots, axes=1)
    # The butterflies, on (lines, window, subbands): line i from the top of a subband with line i of the next one.
    mixed = lines.copy()
    for i, (cs, ca) in enumerate(zip(_CS, _CA, strict=True)) if butterflies else ():
        above, below = lines[i, :, 1:], lines[-1 - i, :, :-1]
        mixed[i, :, 1:] = above * cs - below * ca
        mixed[-1 - i, :, :-1] = below * cs + above * ca
    kernel: NDArray[np.float32] = mixed.transpose(1, 0, 2).reshape(window, -1).astype(np.float32)
    return kernel


@keras.saving.register_keras_serializable("lossgate")
class SubbandEvidence(FilterBankEvidence):
    """Holes of MP2's quantised subband samples: (b, n, 2) -> (b, 2 * HALVES, 33, BANDS, CHANNELS).

    Layer II has an odd number of levels everywhere, so zero is one of them.
    """

    offsets = MPEG_SUBBANDS
    frame = _LAYER_2_FRAME
    taps = MPEG_TAPS
    subbands = _SUBBANDS
    window = _LAYER_2_FRAME + MPEG_TAPS - MPEG_SUBBANDS  # 36 overlapping slots
    stride = _LAYER_2_FRAME // MPEG_SUBBANDS
    needed = _LAYER_2_FRAME + MPEG_TAPS - 1

    def filters(self) -> NDArray[np.float64]:
        """Return the polyphase filters: (512, subbands)."""
        return analysis_matrix(_SUBBANDS)
