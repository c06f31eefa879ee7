"""A plain MDCT at every offset: AAC, AC-3, Vorbis, WMA, and CELT at 48 kHz."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import BAND_EDGES, CELT_PREEMPHASIS
from model.grid.evidence import OffsetEvidence
from model.grid.stretches import every_offset
from model.grid.windows import named


@keras.saving.register_keras_serializable("lossgate")
class MDCTEvidence(OffsetEvidence):
    """Holes of an MDCT of ``frame`` lines at its ``frame`` offsets.

    (b, n, 2) -> (b, frame + 1, BANDS, CHANNELS).  Fold to ``frame`` samples, then a DCT-IV
    by one complex FFT of half that length (the usual N/4 algorithm); the scale is
    orthonormal.  Even lines come first, then the odd ones from the top: their order does
    not matter to a count.

    Args:
        frame: lines M; the window has 2 * M samples.
        window: a name that ``windows.named`` knows.
        alpha: of the KBD window.
        preemphasis: of a first-order filter applied before (CELT); the lines are divided
            by its gain again, so that rounding noise stays white.
    """

    def __init__(
        self, frame: int, window: str, stretches: int, alpha: float = 0.0, preemphasis: float = 0.0, **kwargs: Any
    ) -> None:
        """Precompute window and twiddle factors."""
        super().__init__(stretches=stretches, **kwargs)
        self.frame, self.window, self.alpha, self.preemphasis = frame, window, alpha, preemphasis
        self.offsets = frame
        self.needed = 3 * frame
        self._shape = named(window, frame, alpha).astype(np.float32)
        n = np.arange(frame // 2)
        self._twiddle = np.exp(-1j * np.pi * (4 * n + 1) / (4 * frame))
        lowest, highest = (round(edge * frame) for edge in (BAND_EDGES[0], BAND_EDGES[-1]))
        self._even = slice((lowest + 1) // 2, highest // 2)
        self._odd = slice((frame - highest) // 2, (frame - lowest) // 2)
        even, odd = 2 * n[self._even], frame - 1 - 2 * n[self._odd]
        self._lines = np.concatenate([even, odd])
        omega = np.pi * (self._lines + 0.5) / frame
        gain = np.abs(1.0 - preemphasis * np.exp(-1j * omega))
        scale = np.sqrt(2.0 / frame) / gain
        # The last twiddle, the orthonormal scale and the whitening in one complex factor.
        self._last_even = (self._twiddle[self._even] * scale[: even.size]).astype(np.complex64)
        self._last_odd = (self._twiddle[self._odd] * scale[even.size :]).astype(np.complex64)

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of Nyquist."""
        return (self._lines + 0.5) / self.frame

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, frame, lines), the lines between the outer band edges."""
        if self.preemphasis:
            emphasised = channels[:, 1:] - self.preemphasis * channels[:, :-1]
            channels = ops.concatenate([channels[:, :1], emphasised], axis=1)
        half = self.frame // 2
        x = every_offset(channels, self.frame, 2 * self.frame) * self._shape
        a, b = x[..., :half], x[..., half : 2 * half]
        c, d = x[..., 2 * half : 3 * half], x[..., 3 * half :]
        folded = ops.concatenate([-ops.flip(c, axis=-1) - d, a - ops.flip(b, axis=-1)], axis=-1)
        real, imaginary = folded[..., ::2], ops.flip(folded, axis=-1)[..., ::2]
        cosine, sine = self._twiddle.real.astype(np.float32), self._twiddle.imag.astype(np.float32)
        real, imaginary = ops.fft((real * cosine - imaginary * sine, real * sine + imaginary * cosine))
        even = real[..., self._even] * self._last_even.real - imaginary[..., self._even] * self._last_even.imag
        odd = -real[..., self._odd] * self._last_odd.imag - imaginary[..., self._odd] * self._last_odd.real
        return ops.concatenate([even, odd], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {
            **super().get_config(),
            "frame": self.frame,
            "window": self.window,
            "alpha": self.alpha,
            "preemphasis": self.preemphasis,
        }


def celt_at_48k(stretches: int, name: str) -> MDCTEvidence:
    """Return the layer for Opus delivered at 48 kHz: de-emphasis undone, CELT's window."""
    return MDCTEvidence(960, "celt", stretches, preemphasis=CELT_PREEMPHASIS, name=name)
