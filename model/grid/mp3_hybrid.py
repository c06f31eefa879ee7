"""MPEG-1 layers II and III: the polyphase filterbank, and the hybrid on top of it."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import BAND_EDGES, MP3_GRANULE, MPEG_SUBBANDS, MPEG_TAPS
from model.grid.evidence import OffsetEvidence
from model.grid.filter_bank import FilterBankEvidence
from model.grid.mpeg_prototype import analysis_matrix
from model.grid.stretches import every_offset

_LINES = MP3_GRANULE // MPEG_SUBBANDS  # 18 a subband
_LONG = 2 * _LINES  # subband samples under a long window
_LAYER_2_FRAME = 1_152  # samples
# Alias coefficients of ISO/IEC 11172-3, table B.9.
_ALIAS = np.array([-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037])
_CS = (1.0 / np.sqrt(1.0 + _ALIAS**2)).astype(np.float32)
_CA = (_ALIAS / np.sqrt(1.0 + _ALIAS**2)).astype(np.float32)
_SUBBANDS = np.arange(int(BAND_EDGES[0] * MPEG_SUBBANDS), int(BAND_EDGES[-1] * MPEG_SUBBANDS) + 2)


@functools.cache
def _subband_kernel() -> NDArray[np.float32]:
    """Return the polyphase filters of the subbands that are looked at, unit noise gain: shape (512, subbands)."""
    matrix = analysis_matrix(_SUBBANDS)
    kernel: NDArray[np.float32] = (matrix / np.sqrt((matrix**2).sum(axis=0))).astype(np.float32)
    return kernel


def subband_samples(channels: Any, count: int) -> Any:
    """(c, m) -> (c, count, subbands): a polyphase analysis at every sample."""
    return ops.matmul(every_offset(channels, count, MPEG_TAPS), ops.convert_to_tensor(_subband_kernel()))


def _long_block() -> NDArray[np.float64]:
    """(18, 36): the sine-windowed MDCT of a long block, orthonormal."""
    n, k = np.arange(_LONG), np.arange(_LINES)[:, None]
    window = np.sin(np.pi / _LONG * (n + 0.5))
    matrix: NDArray[np.float64] = window * np.cos(np.pi / (2 * _LONG) * (2 * n + 1 + _LINES) * (2 * k + 1))
    return matrix * np.sqrt(2.0 / _LINES)


@keras.saving.register_keras_serializable("lossgate")
class HybridEvidence(OffsetEvidence):
    """Holes of MP3's long-block hybrid: (b, n, 2) -> (b, 2 * HALVES, 577, BANDS, CHANNELS).

    Polyphase -> frequency inversion -> MDCT of 36 -> alias butterflies at all 576
    alignments, one granule a stretch.
    """

    offsets = MP3_GRANULE
    window = MPEG_TAPS + MPEG_SUBBANDS * (_LONG - 1)  # 1,632 samples: 36 overlapping slots
    # The first of 512 taps to the last subband sample of the last alignment.
    needed = window + MP3_GRANULE - 1

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of Nyquist: line-major, subbands inside."""
        line = np.arange(_LINES)[:, None]
        frequency = (_SUBBANDS * _LINES + line + 0.5) / MP3_GRANULE
        frequency[:, [0, -1]] = -1.0  # their butterflies lack a neighbour
        return frequency.reshape(-1)

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, 576, 18 * subbands)."""
        subbands = _SUBBANDS.size
        slots = _LINES + _LONG - 1
        samples = subband_samples(channels, slots * MPEG_SUBBANDS)
        samples = ops.reshape(samples, (2, slots, MPEG_SUBBANDS, subbands))
        # Frequency inversion: odd samples of odd subbands change sign.  Counted here from
        # the stretch and not from the granule, which odd granule starts then undo.
        odd = (_SUBBANDS % 2 == 1)[None, None, :]
        slot = (np.arange(slots) % 2 == 1)[:, None, None]
        sign = np.where(odd & slot, -1.0, 1.0).astype(np.float32)
        rows = ops.reshape(samples * sign, (2, slots, MPEG_SUBBANDS * subbands))
        windows = ops.stack([rows[:, first : first + _LONG] for first in range(_LINES)], axis=1)
        lines = ops.matmul(ops.convert_to_tensor(_long_block().astype(np.float32)), windows)
        lines = ops.reshape(lines, (2, _LINES, _LINES, MPEG_SUBBANDS, subbands)) * sign[:_LINES, None]
        lines = ops.transpose(_butterflies(lines), (0, 1, 3, 2, 4))
        return ops.reshape(lines, (2, MP3_GRANULE, _LINES * subbands))

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, granules, window) -> (2, granules, 18 * subbands): polyphase, MDCT and butterflies in one matrix."""
        return ops.matmul(frames, ops.convert_to_tensor(_granule_kernel()))


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
def _granule_kernel() -> NDArray[np.float32]:
    """Return what the hybrid makes of a granule's window: shape (1632, 18 * subbands)."""
    matrix = _subband_kernel()
    slots = np.zeros((_LONG, HybridEvidence.window, _SUBBANDS.size))
    for slot in range(_LONG):
        slots[slot, slot * MPEG_SUBBANDS : slot * MPEG_SUBBANDS + MPEG_TAPS] = matrix
    slots[1::2, :, _SUBBANDS % 2 == 1] *= -1.0  # frequency inversion
    lines = np.tensordot(_long_block(), slots, axes=1)
    # The butterflies, on (18, 1632, subbands): line i from the top of a subband with line i of the next one.
    mixed = lines.copy()
    for i, (cs, ca) in enumerate(zip(_CS, _CA, strict=True)):
        above, below = lines[i, :, 1:], lines[-1 - i, :, :-1]
        mixed[i, :, 1:] = above * cs - below * ca
        mixed[-1 - i, :, :-1] = below * cs + above * ca
    kernel: NDArray[np.float32] = mixed.transpose(1, 0, 2).reshape(HybridEvidence.window, -1).astype(np.float32)
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
