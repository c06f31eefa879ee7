"""Opus where it leaves no holes: CELT codes a few neighbouring lines as whole numbers of one step.

A vector of pulses (PVQ, RFC 6716, 4.3.4) has whole numbers whose sizes add up to K, so the step is the vector's sum of
sizes over K, and three dozen steps are all there are.  What hides it is the pitch filter: three frames of four of solo
instruments have it (measured).  Taken back, the lattice is there again.  Its step is unknown anyway, so it outlives
a gain; equalising ends it.
"""

from typing import Any, Final

import keras
import numpy as np
from keras import ops

from model.constants import ANALYSIS_RATES_HZ
from model.grid.celt_kernel import lattice_kernel
from model.grid.constants import CELT_HOP, CELT_HOP_AT_44K1, CELT_PREEMPHASIS, LSB_PER_UNIT
from model.grid.evidence import OffsetEvidence
from model.grid.pitch_filter import GAIN_STEP, PERIODS, PitchFilter
from model.grid.row_by_row import row_by_row
from model.grid.stretches import every_offset

# Edges of CELT's bands of 20 ms, lines: 200 to 3,200 Hz.  Above, there is too little in what leaves no holes.
_EDGES: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
_VECTOR: Final = 4  # lines; whole vectors have 8 or 16, but are cut in halves where bits abound
_MOST_PULSES: Final = 36  # K, from 2 on; 64 find a little more and cost as much again (measured)
_PULSES_A_TURN: Final = 7  # of the loop over them; one by one costs half as much again (measured)
_NARROWEST: Final = 0.7  # 16-bit steps between neighbouring points
_BLUR: Final = 0.003  # of 1 - the mean cosine; of 0.003, 0.01 and 0.05 this found most (measured)
# The pitch filter's gains in ``GAIN_STEP``: two of three steady notes have the largest two, next to none one or two.
_SEARCHED_GAINS: Final = (6, 7)
_FOLLOWED_GAINS: Final = (3, 4, 5, 6, 7)


_FIRSTS: Final = np.arange(_EDGES[0], _EDGES[-1], _VECTOR)  # lines with which vectors begin
# In the order that ``ops.split`` wants: all vectors' first lines, then all second ones, and so on.
_LINES: Final = tuple(int(first) + later for later in range(_VECTOR) for first in _FIRSTS)


@keras.saving.register_keras_serializable("lossgate")
class CeltLatticeEvidence(OffsetEvidence):
    """Lattices of CELT's 20 ms MDCT, with and without the pitch filter: (b, n, 2) -> (b, HALVES, frame + 1, 1, 1).

    At 44.1 kHz frames are looked for where libopus puts them: ``LIBOPUS_PHASE`` samples after a whole one.
    """

    statistics = 1
    hole_statistics = 0
    cells = (1, 1)

    def __init__(self, rate_hz: int, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment that has ``rate_hz``, one of ``ANALYSIS_RATES_HZ``."""
        super().__init__(stretches=stretches, **kwargs)
        self.rate_hz = rate_hz
        self.offsets = CELT_HOP if rate_hz == ANALYSIS_RATES_HZ[1] else CELT_HOP_AT_44K1
        self._pitch = PitchFilter(self.offsets / CELT_HOP)
        kernel = lattice_kernel(self.offsets / CELT_HOP, _LINES)
        self._kernel, self._under = ops.convert_to_tensor(kernel), len(kernel)
        self.window = self._pitch.history + self._under + self._pitch.ahead
        self.needed = self.window + self.offsets - 1
        self._bands = np.eye(len(_EDGES) - 1, dtype=np.float32)[np.searchsorted(_EDGES, _FIRSTS, side="right") - 1]
        centres = np.pi / CELT_HOP * (_FIRSTS + _VECTOR / 2)
        self._noise = np.abs(1.0 - CELT_PREEMPHASIS * np.exp(-1j * centres)).astype(np.float32)

    def near(self, pair: Any) -> Any:
        """Score how near left, right and mid lie to lattices: (2, rows, lines) -> (rows,).

        Mid is CELT's: of left and right, each at unit length in a band.
        """
        lefts, rights = (ops.split(pair[channel], _VECTOR, axis=-1) for channel in range(2))
        of_left, of_right = self._lengths(lefts), self._lengths(rights)
        scale = 0.5 * ops.sqrt(of_left * of_right)
        mids = [scale * (one / of_left + other / of_right) for one, other in zip(lefts, rights, strict=True)]
        # All at once: three loops would take XLA three times as long to compile.
        every = [ops.concatenate(three, axis=0) for three in zip(lefts, rights, mids, strict=True)]
        return ops.sum(ops.reshape(self._vectors(every), (3, -1)), axis=0)

    def _lengths(self, parts: list[Any]) -> Any:
        """Return the length of each vector's band: _VECTOR of (..., vectors) -> (..., vectors)."""
        power = ops.matmul(sum((ops.square(part) for part in parts[1:]), ops.square(parts[0])), self._bands)
        return ops.matmul(ops.sqrt(power) + 1e-3, self._bands.T)

    def _vectors(self, parts: list[Any]) -> Any:
        """Add up how near each vector is to its best lattice: _VECTOR of (..., vectors) -> (...).

        A vector counts as the logarithm of how seldom chance would come as near to one of so many lattices.
        """
        total = sum((ops.abs(part) for part in parts[1:]), ops.abs(parts[0])) + 1e-6
        most = total / (_NARROWEST * self._noise)
        first = [ops.cos(part * (2.0 * np.pi / total)) for part in parts]

        def with_more(turn: Any, carried: Any) -> Any:
            best, before, now = carried[0], carried[1 : 1 + _VECTOR], carried[1 + _VECTOR :]
            for step in range(_PULSES_A_TURN):
                # Chebyshev's recursion: each cosine from the two before it.
                before, now = now, [2.0 * one * two - three for one, two, three in zip(first, now, before, strict=True)]
                pulses = ops.cast(turn * _PULSES_A_TURN + (2 + step), total.dtype)
                away = 1.0 + _BLUR - sum(now[1:], now[0]) / _VECTOR
                away = away * ops.exp((2.0 / (_VECTOR - 1)) * ops.log(pulses))
                best = ops.minimum(best, ops.where(most >= pulses, away, 1.0))
            return [best, *before, *now]

        carried = [ops.ones_like(total), *(ops.ones_like(part) for part in parts), *first]
        # A loop of the graph: unrolled, XLA compiles it for minutes.
        best = ops.fori_loop(0, (_MOST_PULSES - 1) // _PULSES_A_TURN, with_more, carried)[0]
        return -0.5 * (_VECTOR - 1) * ops.sum(ops.log(best), axis=-1)

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, 1): counts, and twice what makes one hit of them."""
        channels = ops.transpose(stretch)[:, : self.needed] * LSB_PER_UNIT

        def lines_of(samples: Any) -> Any:
            return ops.matmul(every_offset(samples, self.offsets, self._under), self._kernel)

        periods = self._pitch.likely_periods(channels)
        added = [lines_of(self._pitch.added(channels, periods[index])) for index in range(PERIODS)]
        counts = self._best(lines_of(self._pitch.plain(channels)), added, _SEARCHED_GAINS)[:, None]
        return self.with_chance(counts)

    def _best(self, plain: Any, added: list[Any], gains: tuple[int, ...]) -> Any:
        """Return the score without a pitch filter or with the one that fits best: (2, rows, lines) each -> (rows,)."""
        filtered = [plain - GAIN_STEP * gain * one for one in added for gain in gains]
        near = row_by_row(self.near, (ops.stack([plain, *filtered]),), (plain.shape[1],))
        return ops.max(near, axis=0)

    def frame_counts(self, frames: Any) -> list[Any]:
        """(2, frames, places, window) -> [(frames - 2, places)]; all places have the period of the first."""
        inner = ops.transpose(frames[:, 1:-1], (1, 0, 2, 3))
        count, places = inner.shape[0], inner.shape[2]

        def lines_added(one: Any) -> Any:
            """(2, places, window) -> (PERIODS, 2, places, lines)."""
            periods = self._pitch.likely_periods(one[:, 0])
            added = ops.stack([self._pitch.added(one, periods[index]) for index in range(PERIODS)])
            return ops.matmul(added, self._kernel)

        def rows_of(lines: Any) -> Any:
            """(frames, 2, places, lines) -> (2, rows, lines)."""
            return ops.reshape(ops.transpose(lines, (1, 0, 2, 3)), (2, count * places, -1))

        added = row_by_row(lines_added, (inner,), (PERIODS, 2, places, len(_LINES)))
        plain = rows_of(ops.matmul(self._pitch.plain(inner), self._kernel))
        best = self._best(plain, [rows_of(added[:, index]) for index in range(PERIODS)], _FOLLOWED_GAINS)
        return [ops.reshape(best, (count, places))]

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {**super().get_config(), "rate_hz": self.rate_hz}
