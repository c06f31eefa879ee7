"""How much of a recording a round trip left as it was: in a decode that equals its original nothing is to be found."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

NEARLY_LOSSLESS: Final = 0.8
"""Share of unchanged samples."""


def sixteen_bit(pcm: NDArray[np.signedinteger[Any]]) -> NDArray[np.int16]:
    """Return samples as encoders take them: deeper ones (int32, full scale) are rounded."""
    if pcm.dtype == np.int16:
        return np.ascontiguousarray(pcm, dtype=np.int16)
    return np.clip(np.round(pcm / 65_536.0), -32_768, 32_767).astype(np.int16)


def unchanged_share(original: NDArray[np.int16], decode: NDArray[np.int16]) -> float:
    """Return which share of a decode's samples, both channels at once, is what it was in the original.

    The decode is laid where it differs least.

    Args:
        original: shape (n, 2).
        decode: shape (m, 2), m <= n, at the same rate.
    """
    whole, cut = original.astype(np.float64).sum(axis=1), decode.astype(np.float64).sum(axis=1)
    power = np.cumsum(np.concatenate([[0.0], whole**2]))
    apart = power[cut.size :] - power[: power.size - cut.size] - 2.0 * fftconvolve(whole, cut[::-1], mode="valid")
    start = int(np.argmin(apart))
    return float(np.mean((original[start : start + len(decode)] == decode).all(axis=1)))
