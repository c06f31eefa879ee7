"""Opus delivered at 44.1 kHz: resampling undone, pre-emphasis, CELT's MDCT, as one matrix."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import (
    BAND_EDGES,
    CELT_HOP,
    CELT_HOP_AT_44K1,
    CELT_OVERLAP,
    CELT_PHASE_AT_44K1,
    CELT_PREEMPHASIS,
)
from model.grid.evidence import OffsetEvidence
from model.grid.stretches import every_offset
from model.grid.windows import celt

_HALF_SINC = 32  # samples at 44.1 kHz on either side; flat to 17 kHz
_SINC_BETA = 12.0  # Kaiser; stop band below -110 dB
_STEP = CELT_HOP_AT_44K1 / CELT_HOP  # 44.1 kHz samples a 48 kHz sample
# Every second line: half the cost, and holes are not rarer in even lines.
_LINES = np.arange(
    int(BAND_EDGES[0] * CELT_HOP * _STEP) + 1,
    int(BAND_EDGES[-1] * CELT_HOP * _STEP),
    2,
)


def kernel(phase: float) -> NDArray[np.float64]:
    """Return the CELT lines of 44.1 kHz samples: shape (samples, lines), unit noise gain.

    A window-shaped sinc reads 48 kHz samples between those at 44.1 kHz; then come the
    pre-emphasis and the MDCT.  The first windowed 48 kHz sample lies at index
    ``_HALF_SINC + 1 + phase``.
    """
    support = CELT_HOP + CELT_OVERLAP
    first = (CELT_HOP - CELT_OVERLAP) // 2
    # One sample earlier as well: the pre-emphasis looks back.
    times = _HALF_SINC + 1 + phase + _STEP * np.arange(-1, support)
    distance = times[:, None] - np.arange(int(times[-1]) + _HALF_SINC + 2)
    taper = np.i0(_SINC_BETA * np.sqrt(np.maximum(1.0 - (distance / _HALF_SINC) ** 2, 0.0))) / np.i0(_SINC_BETA)
    read = np.where(np.abs(distance) < _HALF_SINC, np.sinc(distance) * taper, 0.0)
    emphasised = read[1:] - CELT_PREEMPHASIS * read[:-1]
    n = np.arange(first, first + support)[:, None]
    transform = celt()[first : first + support, None] * np.cos(
        np.pi / CELT_HOP * (n + 0.5 + CELT_HOP / 2) * (_LINES + 0.5)
    )
    matrix: NDArray[np.float64] = emphasised.T @ transform
    return matrix / np.sqrt((matrix**2).sum(axis=0))


@keras.saving.register_keras_serializable("lossgate")
class ResampledCeltEvidence(OffsetEvidence):
    """Holes of CELT's 20 ms MDCT seen from 44.1 kHz: (b, n, 2) -> (b, 2 * HALVES, 883, BANDS, CHANNELS).

    20 ms are 882 samples at 44.1 kHz, so whole offsets cover the grid once its ``phase``
    between two samples is known; every resampler without delay keeps it.
    """

    offsets = CELT_HOP_AT_44K1

    def __init__(self, stretches: int, phase: float = CELT_PHASE_AT_44K1, **kwargs: Any) -> None:
        """``phase`` in samples at 44.1 kHz."""
        super().__init__(stretches=stretches, **kwargs)
        self.phase = phase
        self._kernel = kernel(phase).astype(np.float32)
        self.window = self._kernel.shape[0]
        self.needed = self.offsets + self.window - 1

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of 22.05 kHz."""
        return (_LINES + 0.5) / (CELT_HOP * _STEP)

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, 882, lines)."""
        return self.frame_coefficients(every_offset(channels, self.offsets, self.window))

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, lines)."""
        return ops.matmul(frames, ops.convert_to_tensor(self._kernel))

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {**super().get_config(), "phase": self.phase}
