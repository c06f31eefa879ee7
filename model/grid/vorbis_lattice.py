"""Vorbis where it leaves no holes: its lines are whole numbers of a curve that is drawn with a ruler.

A Vorbis floor (Vorbis I specification, 7.2) is a polygon over the lines, drawn in whole indices of a table of levels,
and what the residue decodes are whole numbers of it: all lines of real decodes at q10 are (measured).  libvorbis has 27
inner places where the polygon may bend, all of even index, and bends it at few of them: from one of those read here to
the next it is straight in two to four fifths of the frames (measured).  Sparse recordings at q10 have next to no
zeros, but at the right frame offset one of four hundred straight lines has twenty to forty spectral lines lie at whole
numbers, and at any other none has.

It needs steps wider than the rounding to 16 bit.  Very quiet recordings (a harp, vibraphones) have finer ones.
"""

import itertools
from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.constants import LSB_PER_UNIT, VORBIS_HOP, VORBIS_SHORT_HOP
from model.grid.evidence import band_matrix
from model.grid.mdct import MDCTEvidence

# Where libvorbis' floor of 1,024 lines may bend (floor_all.h), those that it uses most: 0.5 to 2.8 kHz at 44.1 kHz.
_POSTS: Final = (23, 46, 65, 93, 130)
_INDEX: Final = 7.0 / 256.0 * float(np.log(10.0))  # of the level's logarithm, from one index to the next: 140 dB in 256
# Of index 0, in 16-bit steps of an orthonormal transform: libvorbis' own is sqrt(M / 2) times smaller (measured, too).
_LOWEST: Final = 10.0 ** (7.0 / 256.0 - 7.0) * LSB_PER_UNIT * float(np.sqrt(VORBIS_HOP / 2))

# What is tried, in indices: most pieces of 23 solo recordings' floors at q10 (measured).  Rises from -30 on cost a
# fifth more and find hardly more (measured).
_BELOW: Final = (36, 76)  # the middle of a piece under the lines' level
_RISE: Final = (-24, 12)  # of a piece
_AROUND: Final = max(abs(rise) for rise in _RISE) // 2 + 2  # from the middle of a piece to its ends, at most
_DEEPEST: Final = -(_BELOW[1] + _AROUND) // 2 * 2  # index that is tried, from the level; even as all posts' are
_INDICES: Final = 2 + _AROUND - _BELOW[0] - _DEEPEST  # that are tried
_FINEST: Final = 1.5  # 16-bit steps between whole numbers; of 1.5 and 2.2 this found more (measured)
# A line counts _HIT where it lies on a whole number, less the further away, and _MISS where it is nowhere near: about
# the logarithm of a likelihood.  With 0.06 clear decodes stand out a third further and weak ones less far (measured).
_HIT: Final = 1.3
_MISS: Final = -1.2
_WIDTH: Final = 0.08  # of a step
# Short blocks from one followed frame to the next, each read at eight places.  24 cost twice as much, and decodes stand
# out 1.4 times as far (measured).
_STRIDE: Final = 48


def _drawn(rise: int, length: int) -> NDArray[np.intp]:
    """Return the indices of a piece from its first, as Vorbis draws it (Vorbis I, 9.2.7): (length,)."""
    return np.asarray(np.sign(rise) * (abs(rise) * np.arange(length) // length))


def _pieces(lines: NDArray[np.intp], first: int, last: int) -> NDArray[np.float32]:
    """Return which indices at which lines each straight piece between two posts takes: (lines * _INDICES, pieces).

    Args:
        lines: between the posts, in the order in which they are read.
        first: the line of the piece's first post.
        last: of the next piece's.
    """
    columns = []
    for rise in range(_RISE[0], _RISE[1] + 1, 2):
        drawn = _drawn(rise, last - first)[lines - first]
        for below in range(_BELOW[0], _BELOW[1] + 1, 2):
            start = -below - rise // 4 * 2 - _DEEPEST
            columns.append(np.eye(_INDICES, dtype=np.float32)[start + drawn].ravel())
    return np.stack(columns, axis=1)


@keras.saving.register_keras_serializable("lossgate")
class VorbisLatticeEvidence(MDCTEvidence):
    """How near lines come to whole numbers of the best floor: (b, n, 2) -> (b, HALVES, 129, 1, 1).

    Long blocks, told apart by where they begin within a short one: with every run of short blocks long ones move by
    whole short blocks, and solo instruments at q10 have such runs at most of their notes.  Of the eight places where a
    long block may begin the best counts.

    Left and right only: what couples them is undone before each is multiplied by a floor of its own.  It lives on the
    decoder's exact level; any gain afterwards ends it.
    """

    statistics = 1
    hole_statistics = 0
    band_edges = tuple((post - 1 if post == _POSTS[0] else post) / VORBIS_HOP for post in _POSTS)  # lines come in pairs
    cells = (1, 1)

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment."""
        super().__init__(VORBIS_HOP, "power_sine", stretches, **kwargs)
        self.offsets = VORBIS_SHORT_HOP
        self.window = 2 * VORBIS_HOP + VORBIS_HOP - VORBIS_SHORT_HOP
        self.stride = _STRIDE
        self.even = True  # attacks are coded in short blocks
        self._read: list[NDArray[np.intp]] = []
        self._pieces: list[NDArray[np.float32]] = []
        for first, last in itertools.pairwise(_POSTS):
            read = np.flatnonzero((self._lines >= first) & (self._lines < last))
            self._read.append(read)
            self._pieces.append(_pieces(self._lines[read], first, last))

    def hop(self) -> int:
        """Return the grid on which stretches start, in samples: long blocks, or none could be told to be even."""
        return VORBIS_HOP

    def fits(self, channel: Any, level: Any) -> Any:
        """Return the log-likelihood of the best floor, at least 0.

        Args:
            channel: (..., lines).
            level: RMS of each line around there, of a shape that ``channel`` broadcasts with.

        Returns:
            (...).
        """
        bands = ops.convert_to_tensor(band_matrix(self.positions(), self.band_edges))
        power = ops.matmul(ops.square(level), bands) / ops.sum(bands, axis=0)
        indices = ops.log(ops.maximum(power, 1e-6) / _LOWEST**2) * (0.5 / _INDEX)
        indices = 2.0 * ops.floor(0.5 * indices) + _DEEPEST  # the first that is tried
        finer = np.exp(-_INDEX * np.arange(_INDICES)).astype(np.float32)
        total = 0.0
        for piece, (read, pieces) in enumerate(zip(self._read, self._pieces, strict=True)):
            step = _LOWEST * ops.exp(_INDEX * indices[..., piece : piece + 1])
            tried = finer * ops.cast(step > _FINEST * finer, channel.dtype) / step
            lines = ops.take(channel, ops.convert_to_tensor(read), axis=-1)
            whole = lines[..., None] * tried[..., None, :]
            nearest = ops.round(whole)
            near = ops.maximum(_HIT - (0.5 / _WIDTH**2) * ops.square(whole - nearest), _MISS)
            # What was quantised to zero is a hole, and silence has holes, too.
            near = ops.where(nearest == 0.0, 0.0, near)
            flat = ops.reshape(near, (*near.shape[:-2], len(read) * _INDICES))
            best = ops.max(ops.matmul(flat, ops.convert_to_tensor(pieces)), axis=-1)
            total += ops.maximum(best, 0.0)
        return total

    def _one_stretch(self, stretch: Any) -> Any:
        """(m, 2) -> (offsets + 2, 1): counts, and twice what makes one hit of them."""
        pair = self.coefficients(ops.transpose(stretch) * LSB_PER_UNIT)
        level = ops.sqrt(ops.mean(ops.square(pair), axis=1, keepdims=True))
        fits = self.fits(pair[0], level[0]) + self.fits(pair[1], level[1])
        count = ops.max(ops.reshape(self.in_order(fits[:, None]), (-1, self.offsets, 1)), axis=0)
        return self.with_chance(count)

    def frame_counts(self, frames: Any) -> list[Any]:
        """Count in frames that are read one by one: (2, frames, places, window) -> [(frames - 2, places)]."""
        count, places = frames.shape[1], frames.shape[2]
        starts = range(0, VORBIS_HOP, VORBIS_SHORT_HOP)
        cut = ops.stack([frames[..., start : start + 2 * VORBIS_HOP] for start in starts], axis=3)
        pair = self.frame_coefficients(ops.reshape(cut, (2, -1, 2 * VORBIS_HOP)))
        pair = ops.reshape(pair, (2, count, places, len(starts), -1))
        pair = pair[:, 1:-1]
        # One for all places, so that none is measured by itself; the frames before and after may miss an attack.
        level = ops.sqrt(ops.mean(ops.square(pair), axis=(2, 3), keepdims=True))
        return [ops.max(self.fits(pair[0], level[0]) + self.fits(pair[1], level[1]), axis=-1)]

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return self.config_of_fixed_transform()
