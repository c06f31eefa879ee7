"""From a track's samples to the network's segments.

Audio at 44.1 or 48 kHz is never resampled: the codecs' frame grid lives at the native
rate and a resampler would wipe it out.
"""

import math
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from model.constants import (
    ANALYSIS_RATES_HZ,
    RESAMPLER_EDGE_SAMPLES,
    RESAMPLER_SLACK_SAMPLES,
    SEGMENT_CHANNELS,
    SEGMENT_SAMPLES,
)
from model.errors import FramingError

_LARGEST_STEP = 8  # native samples; odd rates have no grid to keep, and windows must stay apart
_PLANE = 2  # dimensions: samples, channels
_CD_RATE_HZ, _DVD_RATE_HZ = ANALYSIS_RATES_HZ
# 11.025 … 352.8 kHz; integer ratios, so the resampler's work is exact and cheap.
_CD_FAMILY_HZ = frozenset({11_025, 22_050, 44_100, 88_200, 176_400, 352_800})


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a track, in native samples."""

    start: int
    length: int


def analysis_rate_hz(rate_hz: int) -> int:
    """Return the rate in Hz at which a file of ``rate_hz`` is analysed.

    Multiples of 44.1 kHz by a power of two (and 22.05 and 11.025 kHz) go to 44 100,
    everything else to 48 000.

    Raises:
        FramingError: the rate is not positive.
    """
    if rate_hz <= 0:
        message = f"a sampling rate must be positive, not {rate_hz} Hz"
        raise FramingError(message)
    return _CD_RATE_HZ if rate_hz in _CD_FAMILY_HZ else _DVD_RATE_HZ


def window_samples(rate_hz: int) -> int:
    """Return how many native samples one segment takes, the resampler's edges included."""
    analysis = analysis_rate_hz(rate_hz)
    if rate_hz == analysis:
        return SEGMENT_SAMPLES
    return -(-SEGMENT_SAMPLES * rate_hz // analysis) + 2 * RESAMPLER_EDGE_SAMPLES


def plan_windows(total_samples: int, rate_hz: int, max_windows: int) -> tuple[Window, ...]:
    """Spread at most ``max_windows`` windows evenly over a track.

    The track is cut into as many equal cells as it gets windows and each window sits in
    the middle of its cell: windows never overlap, and fades at either end weigh little.

    Args:
        total_samples: length of the track in native samples.
        rate_hz: native sampling rate.
        max_windows: upper bound on the number of windows, at least 1.

    Returns:
        The windows in order; empty where the track is shorter than one segment.

    Raises:
        FramingError: ``max_windows`` is below 1 or the rate is not positive.
    """
    if max_windows < 1:
        message = f"at least one window must be allowed, not {max_windows}"
        raise FramingError(message)
    length = window_samples(rate_hz)
    count = min(max_windows, total_samples // length)
    # Starts that fall between two samples of the analysis rate would move the codec's frame grid by a fraction.
    step = rate_hz // math.gcd(rate_hz, analysis_rate_hz(rate_hz))
    step = step if step <= _LARGEST_STEP else 1
    # Integer arithmetic throughout: floats lose single samples in long tracks.
    starts = (((2 * cell + 1) * total_samples - count * length) // (2 * count) for cell in range(count))
    return tuple(Window(start=start - start % step, length=length) for start in starts)


def _two_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mono is duplicated; of more than two channels the front left and right are kept."""
    if samples.shape[1] == 1:
        return np.repeat(samples, SEGMENT_CHANNELS, axis=1)
    return samples[:, :SEGMENT_CHANNELS]


def to_segment(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Turn the samples of one window into one segment.

    Args:
        samples: shape (n, channels), in [-1, 1], n as ``plan_windows`` asked for.
        rate_hz: native sampling rate.

    Returns:
        Shape (SEGMENT_SAMPLES, 2), float32, at the analysis rate; longer input is cropped
        around its middle.

    Raises:
        FramingError: the shape is wrong or there are too few samples.
    """
    if samples.ndim != _PLANE or samples.shape[1] < 1:
        message = f"expected samples of shape (n, channels), got {samples.shape}"
        raise FramingError(message)
    stereo = _two_channels(samples).astype(np.float32, copy=False)
    analysis = analysis_rate_hz(rate_hz)
    if rate_hz != analysis:
        stereo = soxr.resample(stereo, rate_hz, analysis, quality="HQ")
    missing = SEGMENT_SAMPLES - stereo.shape[0]
    slack = 0 if rate_hz == analysis else RESAMPLER_SLACK_SAMPLES
    if missing > slack:
        message = f"a segment takes {SEGMENT_SAMPLES} samples at {analysis} Hz, {missing} are missing"
        raise FramingError(message)
    if missing > 0:
        stereo = np.pad(stereo, ((0, missing), (0, 0)))
    start = (stereo.shape[0] - SEGMENT_SAMPLES) // 2
    return np.ascontiguousarray(stereo[start : start + SEGMENT_SAMPLES])
