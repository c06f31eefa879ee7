"""Analysis windows of the codec families, as published; numpy, float64."""

import numpy as np
from numpy.typing import NDArray

from model.grid.constants import CELT_HOP, CELT_OVERLAP
from model.grid.errors import GridError

Window = NDArray[np.float64]


def kaiser_bessel_derived(hop: int, alpha: float) -> Window:
    """Return the KBD window of ISO/IEC 14496-3 (4.6.11.3.2) and ATSC A/52: shape (2 * hop,)."""
    steps = np.cumsum(np.kaiser(hop + 1, np.pi * alpha))
    rise = np.sqrt(steps[:hop] / steps[hop])
    return np.concatenate([rise, rise[::-1]])


def sine(hop: int) -> Window:
    """Return the sine window (AAC, MP3, WMA): shape (2 * hop,)."""
    window: Window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop))
    return window


def power_sine(hop: int) -> Window:
    """Return the window of the Vorbis I specification (1.3.2.3): shape (2 * hop,)."""
    window: Window = np.sin(0.5 * np.pi * sine(hop) ** 2)
    return window


def celt() -> Window:
    """Return CELT's low-overlap window (RFC 6716, 4.3.7) in a full block: shape (2 * 960,).

    420 zeros, a power-sine rise of 120, 840 ones, and the mirror image.
    """
    rise = power_sine(CELT_OVERLAP)[:CELT_OVERLAP]
    half = np.concatenate([np.zeros((CELT_HOP - CELT_OVERLAP) // 2), rise])
    half = np.concatenate([half, np.ones(CELT_HOP - half.size)])
    return np.concatenate([half, half[::-1]])


def named(name: str, hop: int, alpha: float = 0.0) -> Window:
    """Return the window called ``name``: what a layer keeps in its configuration.

    Raises:
        GridError: there is no such window.
    """
    if name == "kbd":
        return kaiser_bessel_derived(hop, alpha)
    if name == "sine":
        return sine(hop)
    if name == "power_sine":
        return power_sine(hop)
    if name == "celt" and hop == CELT_HOP:
        return celt()
    raise GridError(f"no window {name!r} for a hop of {hop} samples")
