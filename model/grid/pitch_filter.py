"""CELT's pitch filter, taken back: where notes are steady, the decoder adds a share of an earlier period to the sound.

RFC 6716, 4.3.7.1.  What it adds follows from the sound itself, once the period is known; the gain has eight values.
"""

from typing import Any, Final

import numpy as np
from keras import ops

from model.grid.celt_kernel import COMB_REACH, LONGEST_PERIOD, SHORTEST_PERIOD, comb_filters
from model.grid.constants import CELT_HOP, CELT_PREEMPHASIS

GAIN_STEP: Final = 3.0 / 32.0
PERIODS: Final = 2
"""That come into question for one sound."""
# CELT takes the shortest of the periods that are about as good.
_DEARER: Final = 0.15  # by so much must a period be more alike for each thousand samples that it is longer
_FFT: Final = 2_048  # holds a frame and the longest period before it


class PitchFilter:
    """Periods of a sound and what they add to it, at one rate.

    Samples come with a past: ``history`` samples before those that are asked for, and ``ahead`` behind them.
    """

    def __init__(self, step: float) -> None:
        """``step``: samples of the rate that a sample at 48 kHz lasts."""
        self.step = step
        self.frame = round(step * CELT_HOP)
        combs, delays = comb_filters(step)
        self.history = int(delays.max())
        self.ahead = max(0, COMB_REACH - 1 - int(delays.min()))
        # Tensors, not arrays: graphs refer to them, where each would hold copies of an array.
        self._combs, self._delays = ops.convert_to_tensor(combs), ops.convert_to_tensor(delays)

    def likely_periods(self, channels: Any) -> Any:
        """Return the periods of the frame in the middle: left and right (2, m) -> (PERIODS,), as ``added`` takes them.

        The period that makes the sound most alike, and one sample less: CELT's own is a whole number, found before
        the sound was coded; in steady notes it is one of these two (measured).
        """
        alike = self._alike(channels[0] + channels[1])
        first, last = int(SHORTEST_PERIOD * self.step) + 1, alike.shape[0] - 1
        left, here, right = (alike[first - 2 + beside : last - 2 + beside] for beside in range(3))
        periods = np.arange(first, last, dtype=np.float32)
        between = ops.clip(0.5 * (left - right) / (left - 2.0 * here + right - 1e-6), -0.5, 0.5)
        peak = ops.logical_and(here >= left, here >= right)
        best = ops.argmax(ops.where(peak, here - _DEARER / 1e3 / self.step * periods, -1.0))
        # Not picked by its index: XLA would compile that for a minute.
        period = ops.sum(ops.one_hot(best, periods.size) * (periods + between)) / self.step
        whole = ops.cast(ops.round(period), "int32") - SHORTEST_PERIOD
        return ops.clip(ops.stack([whole, whole - 1]), 0, LONGEST_PERIOD - SHORTEST_PERIOD)

    def _alike(self, mono: Any) -> Any:
        """Return how alike the middle frame and what is 1, 2, ... samples earlier are: (m,) -> (longest period,)."""
        middle = self.history + (mono.shape[0] - self.ahead - self.history - self.frame) // 2
        mono = mono[1:] - CELT_PREEMPHASIS * mono[:-1]
        reach = int(LONGEST_PERIOD * self.step) + 1
        before = ops.pad(mono[middle - reach : middle + self.frame], (0, _FFT - reach - self.frame))
        now = ops.pad(mono[middle : middle + self.frame], (reach, _FFT - reach - self.frame))
        zeros = ops.zeros_like(now)
        real, imaginary = ops.fft((before, zeros))
        with_real, with_imaginary = ops.fft((now, zeros))
        # The inverse transform as a forward one: of the conjugate.
        product = real * with_real + imaginary * with_imaginary, -(imaginary * with_real - real * with_imaginary)
        alike = ops.flip(ops.fft(product)[0][_FFT - reach :] / _FFT, axis=0)
        energy = ops.concatenate([ops.zeros((1,), mono.dtype), ops.cumsum(ops.square(before))])
        own = energy[reach + self.frame] - energy[reach]
        energies = ops.flip(energy[self.frame : self.frame + reach] - energy[:reach], axis=0)
        return alike / ops.sqrt(energies * own + 1.0)

    def plain(self, channels: Any) -> Any:
        """Return the samples that are asked for: (..., m) -> (..., m - history - ahead)."""
        return channels[..., self.history : channels.shape[-1] - self.ahead]

    def added(self, channels: Any, period: Any) -> Any:
        """Return what a period (), from the shortest on, adds at gain 1: (..., m) -> (..., m - history - ahead)."""
        length = channels.shape[-1] - self.history - self.ahead
        size = length + COMB_REACH - 1
        start = self.history - ops.take(self._delays, period)
        cut = ops.take(channels, start + ops.arange(size, dtype="int32"), axis=-1)
        taps = ops.take(self._combs, period, axis=0)
        rows = ops.conv(ops.reshape(cut, (-1, size, 1)), taps[:, None, None], data_format="channels_last")
        return ops.reshape(rows, (*channels.shape[:-1], length))
