"""Reading a signal between two of its samples; numpy, float64."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

HALF_SINC: Final = 32
"""Samples on either side; flat to 17 kHz at 44.1 kHz."""
_BETA = 12.0  # Kaiser; stop band below -110 dB


def sinc(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much a sample counts that lies ``distance`` samples from where the signal is read; any shape."""
    taper = np.i0(_BETA * np.sqrt(np.maximum(1.0 - (distance / HALF_SINC) ** 2, 0.0))) / np.i0(_BETA)
    return np.where(np.abs(distance) < HALF_SINC, np.sinc(distance) * taper, 0.0)
