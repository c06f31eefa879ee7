"""A frame grid whose frames begin anywhere between two samples, as a resampling after the decoder leaves it.

A twentieth of a sample fills the holes, and analysing every fortieth would cost forty times as much.  But beside its
frame each line only turns, by what its frequency says: with a line's imaginary part beside it, a look at every eighth
or ninth sample tells where around it the line is a hole, and all places at once are one more matrix product.
"""

import functools
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import (
    AUDIBLE_SHARE,
    HOLE_SHARE,
    HOLE_WIDTH,
    LSB_PER_UNIT,
    PHASE_HARMONICS,
    PHASES_A_SAMPLE,
    RELATIVE_HOLE_WIDTH,
)
from model.grid.evidence import OffsetEvidence, band_matrix
from model.grid.sinc import HALF_SINC, sinc
from model.grid.stretches import every_offset

_BLOCK = 128  # samples that are moved in one row


@functools.cache
def _moves() -> NDArray[np.float32]:
    """Return matrices that read a part of a sample later: (PHASES_A_SAMPLE, samples in, _BLOCK samples out)."""
    at = HALF_SINC + np.arange(_BLOCK) + np.arange(PHASES_A_SAMPLE)[:, None] / PHASES_A_SAMPLE
    return sinc(at[:, None, :] - np.arange(_BLOCK + 2 * HALF_SINC)[:, None]).astype(np.float32)


def _turns(positions: NDArray[np.float64], places: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return by what each harmonic of twice a line's angle turns at places from a look on.

    The places reach from the look itself to halfway to the next one.  High harmonics count less: they know exact holes
    best, low ones those that an equaliser filled a little.

    Args:
        positions: the lines' frequencies as fractions of Nyquist: (lines,).
        places: around a look.

    Returns:
        Weighted cosine and sine, each (PHASE_HARMONICS * lines, places // 2 + 1).
    """
    later = np.arange(places // 2 + 1) / PHASES_A_SAMPLE
    harmonics = np.arange(1, PHASE_HARMONICS + 1)[:, None, None]
    angles = 2.0 * np.pi * harmonics * positions[:, None] * later
    turns = [(turn(angles) / np.sqrt(harmonics)).reshape(-1, later.size) for turn in (np.cos, np.sin)]
    return turns[0].astype(np.float32), turns[1].astype(np.float32)


class AngleEvidence(OffsetEvidence):
    """Holes of a transform at every fortieth of a sample: (b, n, 2) -> (b, HALVES, frame * 40 + 1, 1, 1).

    A subclass gives ``offsets`` (40 a sample), ``positions`` and ``frame_coefficients``, and calls ``look_with``, or
    ``look_at`` where it has its own ``turning_lines``.

    The search counts one statistic, for relative holes: how near each line's angle is to that of a hole, whatever its
    length.  ``sum over m of cos(m * (2 * angle - pi)) / sqrt(m)`` is a comb over the angle with a tooth at either hole,
    many times narrower than one harmonic's; and each harmonic, summed over channels, turns with the
    place.  Following moves the samples by the part of one and counts as for all other grids, exact and relative holes.
    """

    fineness = PHASES_A_SAMPLE
    cells = (1, 1)
    step: int
    """Samples from one look to the next; the frame is a multiple."""

    def look_with(self, transform: NDArray[np.complex128], positions: NDArray[np.float64]) -> None:
        """Look with a matrix.

        Args:
            transform: (window, lines); the real part is the codec's own line, the imaginary one what it is a quarter of
                a period later.
            positions: the lines' frequencies as fractions of Nyquist.
        """
        # Tensors, not arrays: graphs refer to them, where each would hold a copy of an array (26 MB for AAC's search).
        self._both = ops.convert_to_tensor(np.concatenate([transform.real, transform.imag], axis=1).astype(np.float32))
        self.look_at(positions, len(transform))

    def look_at(self, positions: NDArray[np.float64], window: int) -> None:
        """Precompute how the lines turn: their frequencies as fractions of Nyquist, and samples under a look."""
        self._looked_at, self._under = positions, window
        self._places = self.step * PHASES_A_SAMPLE
        self._cosines, self._sines = (ops.convert_to_tensor(turns) for turns in _turns(positions, self._places))
        self._moves = ops.convert_to_tensor(_moves())
        self.needed = self.hop() + window - 1

    def turning_lines(self, frames: Any) -> Any:
        """(2, looks, window) -> (2, looks, 2 * lines): the codec's own, then what they are a quarter period later."""
        return ops.matmul(frames, self._both)

    def hop(self) -> int:
        """Return the grid on which stretches start, in samples."""
        return self.offsets // self.fineness

    def searched_statistics(self) -> int:
        """Return 1: how deep a hole is shows only where its place is known exactly."""
        return 1

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, 1): counts, sum of w^2, sum of w."""
        channels = ops.transpose(stretch) * LSB_PER_UNIT
        frames = every_offset(channels, self.hop() // self.step, self._under, self.step)
        pair = self.turning_lines(frames)
        found = [self._harmonics(channel) for channel in self.channels_of(pair)]
        harmonics = [sum(parts[1:], start=parts[0]) for parts in zip(*(rows for rows, _ in found), strict=True)]
        weights = sum((row for _, row in found[1:]), start=found[0][1])
        reals, imaginaries = harmonics[:PHASE_HARMONICS], harmonics[PHASE_HARMONICS:]
        even = ops.matmul(ops.concatenate(reals, axis=-1), self._cosines)
        odd = ops.matmul(ops.concatenate(imaginaries, axis=-1), self._sines)
        before, after = ops.flip((even + odd)[:, 1:], axis=-1), (even - odd)[:, :-1]
        counts = ops.reshape(ops.concatenate([before, after], axis=-1), (-1, 1))
        counts = ops.roll(counts, -self._places // 2, axis=0)  # the first look's places begin before offset 0
        return ops.concatenate([counts, weights], axis=0)

    def _harmonics(self, channel: Any) -> tuple[list[Any], Any]:
        """(looks, 2 * lines), real and imaginary -> 2 * PHASE_HARMONICS of (looks, lines), and (2, 1).

        The former are real parts, then imaginary ones, the latter the sums of w^2 and of w; w is that of a relative
        hole.
        """
        cosine, sine = ops.split(channel, 2, axis=-1)
        power = ops.square(cosine) + ops.square(sine)
        level = ops.sqrt(0.5 * ops.mean(power, axis=0))
        bands = ops.convert_to_tensor(band_matrix(self._looked_at, self.band_edges))
        energy = ops.matmul(power, bands)
        audible = ops.minimum(energy / (ops.mean(energy, axis=0, keepdims=True) + 1e-6) / AUDIBLE_SHARE, 1.0)
        width = ops.maximum(RELATIVE_HOLE_WIDTH * level, HOLE_WIDTH)
        weight = ops.log1p(HOLE_SHARE * level / width)
        # Twice the angle, less half a turn: nothing where the codec's own line has a hole.
        real = (ops.square(sine) - ops.square(cosine)) / (power + 1e-6)
        imaginary = -2.0 * cosine * sine / (power + 1e-6)
        # The angle of what is no longer than noise says nothing.
        length = weight * ops.matmul(audible, ops.transpose(bands)) * power / (power + ops.square(width))
        reals, imaginaries = [length, length * real], [ops.zeros_like(length), length * imaginary]
        twice = 2.0 * real
        for _ in range(1, PHASE_HARMONICS):  # Chebyshev's recursion: two products fewer than a turn by the angle
            for parts in (reals, imaginaries):
                parts.append(twice * parts[-1] - parts[-2])
        weights = ops.stack([ops.sum(ops.square(weight)), ops.sum(weight)])
        return [*reals[1:], *imaginaries[1:]], ops.reshape(weights, (2, 1))

    def whole_samples(self, channels: Any, offset: Any) -> tuple[Any, Any]:
        """Move left and right by the part of a sample in ``offset``: (2, m) and () -> (2, m) and whole samples ()."""
        length = channels.shape[-1]
        blocks = -(-length // _BLOCK)
        padded = ops.pad(channels, ((0, 0), (HALF_SINC, (blocks + 1) * _BLOCK - HALF_SINC - length)))
        rows = ops.reshape(padded, (2, blocks + 1, _BLOCK))
        rows = ops.concatenate([rows[:, :-1], rows[:, 1:, : 2 * HALF_SINC]], axis=-1)
        moved = ops.matmul(rows, ops.take(self._moves, offset % self.fineness, axis=0))
        return ops.reshape(moved, (2, -1))[:, :length], offset // self.fineness
