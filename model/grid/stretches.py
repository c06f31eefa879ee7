"""Which parts of a segment are searched."""

from typing import Any

from keras import ops

from model.grid.constants import CLIPPED


def blocks_per_stretch(hop: int, samples: int) -> int:
    """Return how many blocks of ``hop`` samples hold ``samples`` samples."""
    return -(-samples // hop)


def pick_stretches(samples: Any, hop: int, needed: int, count: int) -> Any:
    """Cut the stretches with most to quantise out of each segment.

    The segment is cut into ``count`` equal cells, so that one transient or one fade never
    takes all stretches.  In each cell the start with the highest energy wins, the energy
    being that of the first difference (high frequencies) in the *weakest* block of the
    stretch: an attack would win otherwise, and encoders switch to short blocks there.
    Clipped blocks lose: the decoder's output was changed after the quantiser.  Those are
    the blocks that reach the segment's own peak, since a gain may have followed; where
    nothing is clipped, this costs one start.

    Args:
        samples: (b, n, 2).
        hop: starts are multiples of this many samples.
        needed: samples a stretch must hold.
        count: stretches a segment.

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
    weakest = energy[:, :starts]
    for later in range(1, span):
        weakest = ops.minimum(weakest, energy[:, later : later + starts])
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
