"""Opus delivered at 44.1 kHz, its frames beginning anywhere between two samples.

20 ms are 882 samples at 44.1 kHz, but where in between they begin depends on the encoder's delay and on what was cut
off at 48 kHz before the resampling, and a twentieth of a sample fills the holes.  Analysing every fortieth would cost
forty times as much.  But beside its frame each line only turns, by what its frequency says: with the sine transform
as the cosine transform's imaginary part, a look at every ninth sample tells where around it a line is a hole, and all
places at once are one more matrix product.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.celt_kernel import HALF_SINC, POSITIONS, kernel, sinc
from model.grid.constants import (
    AUDIBLE_SHARE,
    CELT_HOP_AT_44K1,
    HOLE_SHARE,
    HOLE_WIDTH,
    LSB_PER_UNIT,
    PHASE_HARMONICS,
    PHASE_STEP,
    PHASES_A_SAMPLE,
    RELATIVE_HOLE_WIDTH,
)
from model.grid.evidence import OffsetEvidence, band_matrix
from model.grid.stretches import every_offset

_PLACES = PHASE_STEP * PHASES_A_SAMPLE  # around a look
_BLOCK = 128  # samples that are moved in one row


def _moves() -> NDArray[np.float32]:
    """Return matrices that read a part of a sample later: (PHASES_A_SAMPLE, samples in, _BLOCK samples out)."""
    at = HALF_SINC + np.arange(_BLOCK) + np.arange(PHASES_A_SAMPLE)[:, None] / PHASES_A_SAMPLE
    return sinc(at[:, None, :] - np.arange(_BLOCK + 2 * HALF_SINC)[:, None]).astype(np.float32)


def _turns() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return by what each harmonic of twice a line's angle turns at places from a look on.

    The places reach from the look itself to halfway to the next one.  High harmonics count less: they know exact holes
    best, low ones those that an equaliser filled a little.

    Returns:
        Weighted cosine and sine, each (PHASE_HARMONICS * lines, places).
    """
    places = np.arange(_PLACES // 2 + 1) / PHASES_A_SAMPLE
    harmonics = np.arange(1, PHASE_HARMONICS + 1)[:, None, None]
    angles = 2.0 * np.pi * harmonics * POSITIONS[:, None] * places
    turns = [(turn(angles) / np.sqrt(harmonics)).reshape(-1, places.size) for turn in (np.cos, np.sin)]
    return turns[0].astype(np.float32), turns[1].astype(np.float32)


@keras.saving.register_keras_serializable("lossgate")
class ResampledCeltEvidence(OffsetEvidence):
    """Holes of CELT's 20 ms MDCT at every fortieth of a sample: (b, n, 2) -> (b, HALVES, 882 * 40 + 1, 1, 1).

    The search counts one statistic, for relative holes: how near each line's angle is to that of a hole, whatever its
    length.  ``sum over m of cos(m * (2 * angle - pi)) / sqrt(m)`` is a comb over the angle with a tooth at either hole,
    many times narrower than one harmonic's; and each harmonic, summed over channels, turns with the
    place.  Following moves the samples by the part of one and counts as for all other grids, exact and relative holes.
    """

    offsets = CELT_HOP_AT_44K1 * PHASES_A_SAMPLE
    fineness = PHASES_A_SAMPLE
    cells = (1, 1)

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment, an even number."""
        super().__init__(stretches=stretches, **kwargs)
        transform = kernel()
        self._kernel = transform.real.astype(np.float32)
        self._both = np.concatenate([transform.real, transform.imag], axis=1).astype(np.float32)
        self._cosines, self._sines = _turns()
        self._moves = _moves()
        self.window = len(transform)
        self.needed = CELT_HOP_AT_44K1 + self.window - 1

    def hop(self) -> int:
        """Return the grid on which stretches start, in samples."""
        return CELT_HOP_AT_44K1

    def searched_statistics(self) -> int:
        """Return 1: how deep a hole is shows only where its place is known exactly."""
        return 1

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of 22.05 kHz."""
        return POSITIONS

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, lines)."""
        return ops.matmul(frames, ops.convert_to_tensor(self._kernel))

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, 1): counts, sum of w^2, sum of w."""
        channels = ops.transpose(stretch) * LSB_PER_UNIT
        frames = every_offset(channels, CELT_HOP_AT_44K1 // PHASE_STEP, self.window, PHASE_STEP)
        pair = ops.matmul(frames, ops.convert_to_tensor(self._both))
        left, right = pair[0], pair[1]
        found = [
            self._harmonics(channel)
            for channel in (left, right, self.pair_scale * (left + right), self.pair_scale * (left - right))
        ]
        harmonics = [sum(parts[1:], start=parts[0]) for parts in zip(*(rows for rows, _ in found), strict=True)]
        weights = sum((row for _, row in found[1:]), start=found[0][1])
        reals, imaginaries = harmonics[:PHASE_HARMONICS], harmonics[PHASE_HARMONICS:]
        even = ops.matmul(ops.concatenate(reals, axis=-1), ops.convert_to_tensor(self._cosines))
        odd = ops.matmul(ops.concatenate(imaginaries, axis=-1), ops.convert_to_tensor(self._sines))
        before, after = ops.flip((even + odd)[:, 1:], axis=-1), (even - odd)[:, :-1]
        counts = ops.reshape(ops.concatenate([before, after], axis=-1), (-1, 1))
        counts = ops.roll(counts, -_PLACES // 2, axis=0)  # the first look's places begin before offset 0
        return ops.concatenate([counts, weights], axis=0)

    def _harmonics(self, channel: Any) -> tuple[list[Any], Any]:
        """(looks, 2 * lines), cosine and sine transform -> 2 * PHASE_HARMONICS of (looks, lines), and (2, 1).

        The former are real parts, then imaginary ones, the latter the sums of w^2 and of w; w is that of a relative
        hole.
        """
        cosine, sine = ops.split(channel, 2, axis=-1)
        power = ops.square(cosine) + ops.square(sine)
        level = ops.sqrt(0.5 * ops.mean(power, axis=0))
        bands = ops.convert_to_tensor(band_matrix(POSITIONS, self.band_edges))
        energy = ops.matmul(power, bands)
        audible = ops.minimum(energy / (ops.mean(energy, axis=0, keepdims=True) + 1e-6) / AUDIBLE_SHARE, 1.0)
        width = ops.maximum(RELATIVE_HOLE_WIDTH * level, HOLE_WIDTH)
        weight = ops.log1p(HOLE_SHARE * level / width)
        # Twice the angle, less half a turn: nothing where the cosine transform has a hole.
        real = (ops.square(sine) - ops.square(cosine)) / (power + 1e-6)
        imaginary = -2.0 * cosine * sine / (power + 1e-6)
        # The angle of what is no longer than noise says nothing.
        length = weight * ops.matmul(audible, ops.transpose(bands)) * power / (power + ops.square(width))
        reals, imaginaries = [length * real], [length * imaginary]
        for _ in range(1, PHASE_HARMONICS):
            last = reals[-1], imaginaries[-1]
            reals.append(last[0] * real - last[1] * imaginary)
            imaginaries.append(last[0] * imaginary + last[1] * real)
        weights = ops.stack([ops.sum(ops.square(weight)), ops.sum(weight)])
        return [*reals, *imaginaries], ops.reshape(weights, (2, 1))

    def whole_samples(self, channels: Any, offset: Any) -> tuple[Any, Any]:
        """Move left and right by the part of a sample in ``offset``: (2, m) and () -> (2, m) and whole samples ()."""
        length = channels.shape[-1]
        blocks = -(-length // _BLOCK)
        padded = ops.pad(channels, ((0, 0), (HALF_SINC, (blocks + 1) * _BLOCK - HALF_SINC - length)))
        rows = ops.reshape(padded, (2, blocks + 1, _BLOCK))
        rows = ops.concatenate([rows[:, :-1], rows[:, 1:, : 2 * HALF_SINC]], axis=-1)
        moved = ops.matmul(rows, ops.take(ops.convert_to_tensor(self._moves), offset % self.fineness, axis=0))
        return ops.reshape(moved, (2, -1))[:, :length], offset // self.fineness
