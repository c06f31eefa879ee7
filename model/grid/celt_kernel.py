"""CELT's MDCT seen from 44.1 kHz: resampling undone, pre-emphasis and transform, as one matrix; numpy, float64."""

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.grid.constants import BAND_EDGES, CELT_HOP, CELT_HOP_AT_44K1, CELT_OVERLAP, CELT_PREEMPHASIS
from model.grid.sinc import HALF_SINC, sinc
from model.grid.windows import celt

_STEP = CELT_HOP_AT_44K1 / CELT_HOP  # 44.1 kHz samples a 48 kHz sample
# Every second line: half the cost, and holes are not rarer in even lines.
_LINES = np.arange(
    int(BAND_EDGES[0] * CELT_HOP * _STEP) + 1,
    int(BAND_EDGES[-1] * CELT_HOP * _STEP),
    2,
)
POSITIONS: Final[NDArray[np.float64]] = (_LINES + 0.5) / (CELT_HOP * _STEP)
"""Each line's frequency as a fraction of 22.05 kHz."""


@functools.cache
def kernel() -> NDArray[np.complex128]:
    """Return the CELT lines of 44.1 kHz samples: shape (samples, lines), unit noise gain.

    The real part is CELT's own transform; the imaginary part, the sine transform beside it, makes a line's angle.
    A window-shaped sinc reads 48 kHz samples between those at 44.1 kHz; then come the
    pre-emphasis and the MDCT.  The first windowed 48 kHz sample lies at index ``HALF_SINC + 1``.
    """
    support = CELT_HOP + CELT_OVERLAP
    first = (CELT_HOP - CELT_OVERLAP) // 2
    # One sample earlier as well: the pre-emphasis looks back.
    times = HALF_SINC + 1 + _STEP * np.arange(-1, support)
    read = sinc(times[:, None] - np.arange(int(times[-1]) + HALF_SINC + 2))
    emphasised = read[1:] - CELT_PREEMPHASIS * read[:-1]
    n = np.arange(first, first + support)[:, None]
    angle = np.pi / CELT_HOP * (n + 0.5 + CELT_HOP / 2) * (_LINES + 0.5)
    matrix: NDArray[np.complex128] = emphasised.T @ (celt()[first : first + support, None] * np.exp(-1j * angle))
    return matrix / np.sqrt((matrix.real**2).sum(axis=0))
