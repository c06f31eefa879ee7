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
LIBOPUS_PHASE: Final = 0.35
"""Samples at 44.1 kHz from a whole one to where libopus's frames begin; see ``PHASES_A_SAMPLE``."""
SHORTEST_PERIOD: Final = 15
LONGEST_PERIOD: Final = 1_022
"""Of the pitch filter, samples at 48 kHz (RFC 6716, 4.3.7.1)."""
COMB_TAPS: Final = (0.306_640_625, 0.217_041_015_6, 0.129_638_671_9)
"""Of its first set, from the period outwards; libopus uses no other for what was measured."""
COMB_REACH: Final = 2 * HALF_SINC + 6
"""Samples under its taps, wherever between two samples they lie."""


def _transform(step: float, phase: float, lines: NDArray[np.intp]) -> NDArray[np.complex128]:
    """Return CELT's lines of samples that a sample at 48 kHz lasts ``step`` of: shape (samples, lines).

    The real part is CELT's own transform; the imaginary part, the sine transform beside it, makes a line's angle.
    A window-shaped sinc reads 48 kHz samples between those that there are; then come the pre-emphasis and the MDCT.
    The first windowed 48 kHz sample lies ``phase`` after index ``HALF_SINC + 1``.
    """
    support = CELT_HOP + CELT_OVERLAP
    first = (CELT_HOP - CELT_OVERLAP) // 2
    # One sample earlier as well: the pre-emphasis looks back.
    times = HALF_SINC + 1 + phase + step * np.arange(-1, support)
    read = sinc(times[:, None] - np.arange(int(times[-1]) + HALF_SINC + 2))
    emphasised = read[1:] - CELT_PREEMPHASIS * read[:-1]
    n = np.arange(first, first + support)[:, None]
    angle = np.pi / CELT_HOP * (n + 0.5 + CELT_HOP / 2) * (lines + 0.5)
    matrix: NDArray[np.complex128] = emphasised.T @ (celt()[first : first + support, None] * np.exp(-1j * angle))
    return matrix


@functools.cache
def kernel() -> NDArray[np.complex128]:
    """Return the CELT lines of 44.1 kHz samples, of unit noise gain: shape (samples, lines)."""
    matrix = _transform(_STEP, 0.0, _LINES)
    return matrix / np.sqrt((matrix.real**2).sum(axis=0))


@functools.cache
def lattice_kernel(step: float, lines: tuple[int, ...]) -> NDArray[np.float32]:
    """Return CELT's own lines, of unit noise gain before the pre-emphasis: shape (samples, lines)."""
    phase = 0.0 if step == 1.0 else LIBOPUS_PHASE
    return (np.sqrt(2.0 / CELT_HOP) * _transform(step, phase, np.array(lines)).real).astype(np.float32)


@functools.cache
def comb_filters(step: float) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return what the pitch filter adds for each period, as taps over samples and where they begin.

    Returns:
        Taps (periods, COMB_REACH) from ``SHORTEST_PERIOD`` on, and how many samples before the first lies: (periods,).
    """
    periods = np.arange(SHORTEST_PERIOD, LONGEST_PERIOD + 1)
    delays = np.floor((periods + 2) * step).astype(np.int32) + HALF_SINC
    later = np.arange(COMB_REACH) - delays[:, None]
    taps = sum(
        tap * sinc(later + (periods[:, None] + beside) * step)
        for beside, tap in zip(range(-2, 3), (*COMB_TAPS[:0:-1], *COMB_TAPS), strict=True)
    )
    return np.asarray(taps, dtype=np.float32), delays
