"""A plain MDCT at every offset: AAC, AC-3, Vorbis, WMA, and CELT at 48 kHz."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import AAC_HOP, AC3_HOP, CELT_HOP, CELT_PREEMPHASIS
from model.grid.evidence import OffsetEvidence
from model.grid.row_by_row import row_by_row
from model.grid.stretches import every_offset, every_offset_reversed
from model.grid.windows import named

_ROWS = 128  # offsets of one parity transformed at once, about; WMA's all at once take twice as long (measured)
_BY_MATRIX = 128  # lines; frames so short, read one by one, cost half as much as one product than as FFTs (measured)


@keras.saving.register_keras_serializable("lossgate")
class MDCTEvidence(OffsetEvidence):
    """Holes of an MDCT of ``frame`` lines at its ``frame`` offsets.

    (b, n, 2) -> (b, 2 * HALVES, frame + 1, BANDS, CHANNELS).  Fold to ``frame`` samples, then a DCT-IV
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
        self.frame, self.shape_name, self.alpha, self.preemphasis = frame, window, alpha, preemphasis
        self.offsets = frame
        self.needed = 3 * frame
        self.window = 2 * frame
        # AC-3's one by one would find a little more and let a true drum loop reach 4.7 sigma instead of 3.8 (measured).
        self.stride = 2 if frame == AC3_HOP else 1
        # Of 28 validation tracks' decodes: Vorbis q8 from 2 to 38 sigma, AAC 320 from 20 to 57; WMA gains nothing.
        self.even = frame in {AAC_HOP, CELT_HOP}
        shape = named(window, frame, alpha)[::2].astype(np.float32)
        quarter = np.ones(frame // 4, dtype=np.float32)
        # The signs of the fold; the window is symmetric, so both halves read it alike.
        self._front = shape * np.concatenate([quarter, -quarter, -quarter, -quarter])
        self._back = shape * np.concatenate([-quarter, -quarter, -quarter, quarter])
        n = np.arange(frame // 2)
        self._twiddle = np.exp(-1j * np.pi * (8 * n + 1) / (8 * frame))
        lowest, highest = (round(edge * frame) for edge in (self.band_edges[0], self.band_edges[-1]))
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
        self._matrix = self._definition(scale) if frame <= _BY_MATRIX else None

    def _definition(self, scale: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the transform of prepared frames as one matrix: (2 * frame, lines)."""
        n = np.arange(2 * self.frame)[:, None]
        basis = np.cos(np.pi / self.frame * (n + 0.5 + self.frame / 2) * (self._lines + 0.5))
        matrix: NDArray[np.float64] = named(self.shape_name, self.frame, self.alpha)[:, None] * basis * scale
        return matrix.astype(np.float32)

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of Nyquist."""
        return (self._lines + 0.5) / self.frame

    def coefficients(self, channels: Any) -> Any:
        """(2, m) -> (2, frame, lines), the lines between the outer band edges.

        The offsets come in two halves, even ones first: ``in_order`` puts them right.
        """
        return self.at_every_offset(self.prepared(channels))

    def at_every_offset(self, channels: Any) -> Any:
        """Prepared left and right (2, m) -> (2, frame, lines), as ``coefficients``."""
        # The algorithm pairs samples 2n from the front with samples 2n from the back.  At
        # offsets of one parity these are two sequences without gaps; a strided read of
        # all windows would take longer than the FFT.
        span = 3 * self.frame - 2
        even, odd, next_even = (channels[:, first : span + first : 2] for first in range(3))
        rows = self.frame // 2
        fronts = ops.reshape(ops.stack([even, odd], axis=1), (4, -1))
        backs = ops.reshape(ops.stack([odd, next_even], axis=1), (4, -1))
        turns = max(1, rows // _ROWS)
        rows //= turns
        both = ops.stack([fronts, backs])
        # Few rows at a time stay in the processor's cache.
        parts = ops.stack([both[..., turn * rows : (turn + 1) * rows + self.frame - 1] for turn in range(turns)])
        shape = (4, rows, self._lines.size)
        lines = row_by_row(self._rows_of_lines, (parts,), shape) if turns > 1 else self._rows_of_lines(parts[0])[None]
        return ops.reshape(ops.transpose(lines, (1, 0, 2, 3)), (2, self.frame, self._lines.size))

    def _rows_of_lines(self, both: Any) -> Any:
        """Fronts and backs (2, 4, rows + frame - 1) -> (4, rows, lines)."""
        fronts, backs = both[0], both[1]
        rows = both.shape[-1] - self.frame + 1
        return self._lines_of(every_offset(fronts, rows, self.frame), every_offset_reversed(backs, rows, self.frame))

    def prepared(self, channels: Any) -> Any:
        """Apply the pre-emphasis, if there is one: (2, m) -> (2, m)."""
        if not self.preemphasis:
            return channels
        emphasised = channels[:, 1:] - self.preemphasis * channels[:, :-1]
        return ops.concatenate([channels[:, :1], emphasised], axis=1)

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, 2 * frame) -> (2, frames, lines)."""
        if self._matrix is not None:
            return ops.matmul(frames, ops.convert_to_tensor(self._matrix))
        return self._lines_of(frames[..., ::2], ops.flip(frames[..., 1::2], axis=-1))

    def _lines_of(self, front: Any, back: Any) -> Any:
        """Every second sample of each window from its front and from its back, (..., frame) -> (..., lines)."""
        front = ops.split(front * self._front, 4, axis=-1)
        back = ops.split(back * self._back, 4, axis=-1)
        real = ops.concatenate([front[3] + back[1], front[0] + back[2]], axis=-1)
        imaginary = ops.concatenate([front[1] + back[3], front[2] + back[0]], axis=-1)
        return self._dct4(real, imaginary)

    def _dct4(self, real: Any, imaginary: Any) -> Any:
        """Folded samples (c, rows, M / 2), complex, to lines (c, rows, lines)."""
        cosine, sine = self._twiddle.real.astype(np.float32), self._twiddle.imag.astype(np.float32)
        real, imaginary = ops.fft((real * cosine - imaginary * sine, real * sine + imaginary * cosine))
        even = real[..., self._even] * self._last_even.real - imaginary[..., self._even] * self._last_even.imag
        odd = -real[..., self._odd] * self._last_odd.imag - imaginary[..., self._odd] * self._last_odd.real
        return ops.concatenate([even, odd], axis=-1)

    def turning_lines(self, frames: Any, lines: NDArray[np.intp]) -> Any:
        """Return lines and what they are a quarter period later: (2, frames, 2 * frame) -> (2, frames, 2 * lines).

        One complex FFT of ``frame`` holds all even lines, in the order of their frequencies, and the conjugates of all
        odd ones, from the top.

        Args:
            frames: as ``frame_coefficients`` wants them; pre-emphasis is not undone.
            lines: every second one without a gap: even ones rising or odd ones falling.
        """
        size = self.frame
        odd = bool(lines[0] % 2)
        first = int(2 * size - 1 - lines[0] if odd else lines[0]) // 2
        turn = np.exp(-0.5j * np.pi * np.arange(size) / size)
        shape = named(self.shape_name, size, self.alpha)
        cosine, sine = ((shape.reshape(2, size) * part).astype(np.float32) for part in (turn.real, turn.imag))
        front, back = frames[..., :size], frames[..., size:]
        real, imaginary = ops.fft((front * cosine[0] + back * sine[1], front * sine[0] - back * cosine[1]))
        real, imaginary = (part[..., first : first + lines.size] for part in (real, imaginary))
        last = np.sqrt(2.0 / size) * np.exp(-1j * np.pi / size * (lines + 0.5) * (0.5 + size / 2))
        cosine, sine = last.real.astype(np.float32), last.imag.astype(np.float32)
        if odd:
            imaginary = -imaginary
        return ops.concatenate([real * cosine - imaginary * sine, real * sine + imaginary * cosine], axis=-1)

    def in_order(self, rows: Any) -> Any:
        """Interleave the even and the odd offsets: (frame, columns) -> the same."""
        halves = ops.reshape(rows, (2, self.frame // 2, -1))
        return ops.reshape(ops.transpose(halves, (1, 0, 2)), (self.frame, -1))

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {
            **super().get_config(),
            "frame": self.frame,
            "window": self.shape_name,
            "alpha": self.alpha,
            "preemphasis": self.preemphasis,
        }

    def config_of_fixed_transform(self) -> dict[str, Any]:
        """Return what the constructor of a subclass takes that chooses the transform itself."""
        return super().get_config()


def celt_at_48k(stretches: int, name: str) -> MDCTEvidence:
    """Return the layer for Opus delivered at 48 kHz: de-emphasis undone, CELT's window."""
    return MDCTEvidence(960, "celt", stretches, preemphasis=CELT_PREEMPHASIS, name=name)
