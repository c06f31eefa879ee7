"""How much spectrum and level a track has to be judged by.

A verdict on a track without treble or without level would judge the music, not its
history; the policy abstains on these measures.
"""

import numpy as np
from numpy.typing import NDArray

from model.constants import (
    BANDWIDTH_BELOW_PEAK_DB,
    BANDWIDTH_FLOOR_DBFS,
    BANDWIDTH_FRAME_SAMPLES,
    BANDWIDTH_SMOOTHING_HZ,
    SILENCE_DBFS,
)

_TINY = 1e-20  # keeps logarithms finite; -200 dB


def segment_levels_dbfs(segments: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each segment's RMS level in dB re a full-scale sine, shape (n,).

    Args:
        segments: shape (n, SEGMENT_SAMPLES, 2).  Digital silence gives about -197 dB.
    """
    power = np.mean(np.square(segments, dtype=np.float64), axis=(1, 2))
    return np.asarray(10.0 * np.log10(2.0 * power + _TINY))


def mean_power_spectrum(segments: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean power a bin over all segments, channels and frames.

    Segments quieter than ``SILENCE_DBFS`` are left out, unless all are.

    Args:
        segments: shape (n, SEGMENT_SAMPLES, 2), n >= 1.

    Returns:
        Shape (BANDWIDTH_FRAME_SAMPLES // 2 + 1,); 1.0 is a full-scale sine in that bin.
    """
    loud = segment_levels_dbfs(segments) > SILENCE_DBFS
    chosen = segments[loud] if loud.any() else segments
    size = BANDWIDTH_FRAME_SAMPLES
    window = np.hanning(size).astype(np.float32)
    frames = chosen.shape[1] // size
    total = np.zeros(size // 2 + 1)
    # One segment at a time: the worker runs this beside a full queue, memory matters.
    for segment in chosen:
        cut = segment[: frames * size].reshape(frames, size, -1) * window[None, :, None]
        spectrum = np.fft.rfft(cut, axis=1)
        total += np.mean(spectrum.real**2 + spectrum.imag**2, axis=(0, 2))
    return np.asarray(total / len(chosen) / (window.sum() / 2.0) ** 2)


def measure_bandwidth_hz(segments: NDArray[np.float32], rate_hz: float) -> float:
    """Return the highest frequency that still carries sound, in Hz.

    Args:
        segments: shape (n, SEGMENT_SAMPLES, 2).
        rate_hz: the *analysis* rate of the segments.

    Returns:
        The highest frequency whose smoothed power lies above the 16-bit rounding noise and
        less than 85 dB under the strongest band; 0.0 for silence or no segments.
    """
    if len(segments) == 0:
        return 0.0
    power = mean_power_spectrum(segments)
    bin_hz = rate_hz / BANDWIDTH_FRAME_SAMPLES
    width = max(1, round(BANDWIDTH_SMOOTHING_HZ / bin_hz))
    smooth = np.convolve(power, np.full(width, 1.0 / width), mode="same")
    level_db = 10.0 * np.log10(smooth + _TINY)
    threshold = max(BANDWIDTH_FLOOR_DBFS, float(level_db.max()) - BANDWIDTH_BELOW_PEAK_DB)
    above = np.flatnonzero(level_db > threshold)
    return float(above[-1] * bin_hz) if above.size else 0.0
