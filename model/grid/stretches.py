"""Which parts of a segment are searched."""

from collections.abc import Callable
from typing import Any

from keras import ops

from model.grid.constants import CLIPPED, MOMENT

_STEP_ENERGY = 1e-9  # of one 16-bit step; keeps digital silence finite


def blocks_per_stretch(hop: int, samples: int) -> int:
    """Return how many blocks of ``hop`` samples hold ``samples`` samples."""
    return -(-samples // hop)


def moments_per_block(hop: int) -> int:
    """Return into how many equal moments of at least ``MOMENT`` samples a block is cut; 1 where it is shorter."""
    return max(parts for parts in range(1, max(1, hop // MOMENT) + 1) if hop % parts == 0)


def _over_span(of_two: Callable[[Any, Any], Any], blocks: Any, span: int, starts: int) -> Any:
    """Return the least (``ops.minimum``) or most of ``span`` blocks from each start: (b, blocks) -> (b, starts)."""
    found = blocks[:, :starts]
    for later in range(1, span):
        found = of_two(found, blocks[:, later : later + starts])
    return found


def _evenness(shaped: Any, span: int, starts: int) -> Any:
    """Return how even each stretch's high frequencies are: (b, blocks, hop, 2) -> (b, starts), from 0 to 1.

    The weakest moment's energy as a share of the strongest one's.
    """
    blocks, hop = shaped.shape[1], shaped.shape[2]
    parts = moments_per_block(hop)
    moments = ops.reshape(shaped, (-1, blocks, parts, hop // parts, 2))
    energy = ops.sum(ops.square(moments[:, :, :, 1:] - moments[:, :, :, :-1]), axis=(3, 4))
    least = _over_span(ops.minimum, ops.min(energy, axis=2), span, starts)
    most = _over_span(ops.maximum, ops.max(energy, axis=2), span, starts)
    return (least + _STEP_ENERGY) / (most + _STEP_ENERGY)


def pick_stretches(samples: Any, hop: int, needed: int, count: int, *, even: bool = False) -> Any:
    """Cut the stretches with most to quantise out of each segment.

    The segment is cut into ``count`` equal cells, so that one transient or one fade never
    takes all stretches.  In each cell the start with the highest energy wins, the energy
    being that of the first difference (high frequencies) in the *weakest* block of the
    stretch: an attack would win otherwise, and encoders switch to short blocks there.
    Clipped blocks lose: the decoder's output was changed after the quantiser.  Those are
    the blocks that reach the segment's own peak, since a gain may have followed; where
    nothing is clipped, this costs one start.

    A block is long enough to hold an attack and still be loud throughout: a mix with drums in it, searched where it was
    loudest, showed nothing of Opus (z 0.6 at 160 kbit/s) that it showed where it was ``even`` (34.6).

    Args:
        samples: (b, n, 2).
        hop: starts are multiples of this many samples.
        needed: samples a stretch must hold.
        count: stretches a segment.
        even: whether energy counts by how even it is within the stretch.

    Returns:
        (b, count, blocks * hop, 2) with ``blocks * hop >= needed``.
    """
    span = blocks_per_stretch(hop, needed)
    blocks = samples.shape[1] // hop
    shaped = ops.reshape(samples[:, : blocks * hop], (-1, blocks, hop, 2))
    high = shaped[:, :, 1:] - shaped[:, :, :-1]
    energy = ops.sum(ops.square(high), axis=(2, 3))
    peak = ops.max(ops.abs(shaped), axis=(2, 3))
    clipped = peak >= CLIPPED * ops.max(peak, axis=1, keepdims=True)
    energy = ops.where(clipped, 1e-6 * energy, energy)
    starts = (blocks - span + 1) // count * count
    weakest = _over_span(ops.minimum, energy, span, starts)
    if even:
        weakest = weakest * _evenness(shaped, span, starts)
    cell = starts // count
    best = ops.argmax(ops.reshape(weakest, (-1, count, cell)), axis=-1)
    first = ops.cast(best, "int32") + ops.arange(0, starts, cell, dtype="int32")
    index = ops.reshape(first[:, :, None] + ops.arange(span, dtype="int32"), (-1, count * span, 1))
    flat = ops.reshape(shaped, (-1, blocks, hop * 2))
    taken = ops.take_along_axis(flat, index, axis=1)
    return ops.reshape(taken, (-1, count, span * hop, 2))


def every_offset(rows: Any, offsets: int, length: int, step: int = 1) -> Any:
    """Return all windows of ``length`` samples: (c, m) -> (c, offsets, length).

    Row ``o`` is ``rows[:, o * step : o * step + length]``.  Repeated m-sample rows read in lines of
    m + step shift by that many samples a line: memory copies only, where a gather would fetch
    sample by sample.
    """
    width = rows.shape[-1]
    repeated = ops.tile(rows, (1, offsets + 1))[:, : offsets * (width + step)]
    return ops.reshape(repeated, (-1, offsets, width + step))[:, :, :length]


def every_offset_reversed(rows: Any, offsets: int, length: int) -> Any:
    """Return the same windows back to front: row ``o`` ends with ``rows[:, o]``.

    Reversed rows read in lines of m - 1 shift the other way.
    """
    backwards = ops.flip(rows[:, : offsets + length - 1], axis=-1)
    width = offsets + length - 1
    # Line o starts o samples earlier: begin with the last offset's surplus skipped.
    repeated = ops.tile(backwards, (1, offsets + 1))[:, offsets - 1 : offsets - 1 + offsets * (width - 1)]
    return ops.reshape(repeated, (-1, offsets, width - 1))[:, :, :length]
