"""Candidates followed: does every frame at this offset look quantised, or only those that were searched?

The search analyses at every frame offset and so can afford a dozen frames a segment.  Once it has named the few offsets
that look best, all of a segment's frames can be read at each of them, a hundred times as many: a grid that is there
stands out ten times as far, and chance does not repeat itself.
"""

from typing import Any

import keras
from keras import ops

from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from model.grid.constants import BESIDE, LSB_PER_UNIT
from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS, RESAMPLED
from model.grid.other_rate import OtherRate
from model.grid.repetition import Repetition

FOLLOWER_NAME = "lossgate_frame_follower"
STATISTICS = 2
"""Exact and relative holes; grids that have only one leave the second zero."""
_SMALLEST_SPREAD = 1e-6  # keeps digital silence finite


@keras.saving.register_keras_serializable("lossgate")
class FollowedFrames(keras.layers.Layer):
    """All frames of a segment at one offset: (b, n, 2) and (b,) -> (b, STATISTICS, HALVES, 2).

    Each frame is compared with the mean of others that begin ``BESIDE`` it and hear the same: content has no
    reason to favour one of them, a codec's frame does.  The counts are those of ``OffsetEvidence``; a coefficient's
    level is taken from the frames before and after, so that no offset is measured by itself.

    The last axis holds the sum of the differences, and the variance of that sum as the others differ among themselves:
    the first over the root of the second is a score in standard deviations, and parts of a track just add up.
    The segment's halves are told apart, its first and its last frame have no neighbours and don't count.
    """

    def __init__(self, evidence: OffsetEvidence | dict[str, Any], effort: float = 1.0, **kwargs: Any) -> None:
        """``evidence`` gives the transform and what counts as a hit; ``effort`` is the share of the frames to read."""
        kwargs.setdefault("dtype", "float32")
        super().__init__(trainable=False, **kwargs)
        self.effort = effort
        layer = keras.saving.deserialize_keras_object(evidence) if isinstance(evidence, dict) else evidence
        self._evidence: OffsetEvidence = layer

    def build(self, *shapes: tuple[int | None, ...]) -> None:
        """Nothing is trained, here or in the evidence layer."""
        del shapes
        self._evidence.built = self.built = True

    def _frames(self, samples: Any, offset: Any) -> Any:
        """(n, 2) and () -> (2, frames, 1 + len(BESIDE), window), the frame itself first."""
        grid = self._evidence
        frame, reach = grid.offsets // grid.fineness, max(BESIDE)
        hop = frame * grid.stride
        count = (samples.shape[0] - 2 * frame - reach - grid.window) // hop + 1
        count = 2 + HALVES * max(1, int(self.effort * (count - 2)) // HALVES)
        blocks = -(-grid.window // hop)
        channels, offset = grid.whole_samples(grid.prepared(ops.transpose(samples) * LSB_PER_UNIT), offset)
        channels = ops.pad(channels, ((0, 0), (0, blocks * hop)))  # only what no window reaches is read from it
        sets = []
        for beside in (0, *BESIDE):
            # Offsets below the reach begin a frame later, so that no start is negative.
            index = ops.arange((count + blocks - 1) * hop, dtype="int32") + (frame + beside) + offset
            # By indices: of a slice XLA takes the start for a constant, and compiles it for every offset anew.
            # Windows that overlap are neighbouring blocks side by side; gathered one by one they would cost as much as
            # their transform.
            cut = ops.reshape(ops.take(channels, index, axis=1), (2, count + blocks - 1, hop))
            cut = ops.concatenate([cut[:, block : block + count] for block in range(blocks)], axis=-1)
            sets.append(cut[..., : grid.window])
        return ops.stack(sets, axis=2)

    def _one_segment(self, samples: Any, offset: Any) -> Any:
        """(n, 2) and () -> (STATISTICS, HALVES, 2)."""
        grid = self._evidence
        counts = grid.frame_counts(self._frames(samples, offset))
        rows = [self._compared(grid.stabilised(index, found)) for index, found in enumerate(counts)]
        rows += [ops.zeros_like(rows[0])] * (STATISTICS - len(rows))
        return ops.stack(rows)

    def _compared(self, counts: Any) -> Any:
        """(frames, 1 + beside) -> (HALVES, 2): sum of the differences and its variance."""
        others = counts[:, 1:]
        number = others.shape[1]
        mean = ops.mean(others, axis=1)
        apart = ops.sum(ops.square(others - mean[:, None]), axis=1) / (number - 1)
        halves = ops.reshape(ops.stack([counts[:, 0] - mean, apart * (1.0 + 1.0 / number)], axis=-1), (HALVES, -1, 2))
        return ops.sum(halves, axis=1) + ops.convert_to_tensor([0.0, _SMALLEST_SPREAD])

    def call(self, samples: Any, offsets: Any, rates: Any = None) -> Any:
        """Return differences and variances of each row's segment at its offset; ``rates`` as of ``OffsetEvidence``."""
        rows = samples, ops.cast(offsets, "int32")
        return self._evidence.each_at_own_rate(self._one_segment, rows, rates, (STATISTICS, HALVES, 2))

    def compute_output_shape(
        self,
        samples_shape: tuple[int | None, ...],
        offsets_shape: tuple[int | None, ...],
        rates_shape: tuple[int | None, ...] | None = None,
    ) -> tuple[int | None, ...]:
        """(b, n, 2) and (b,) -> (b, STATISTICS, HALVES, 2)."""
        del offsets_shape, rates_shape
        return (samples_shape[0], STATISTICS, HALVES, 2)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        evidence = keras.saving.serialize_keras_object(self._evidence)
        config: dict[str, Any] = {**super().get_config(), "evidence": evidence, "effort": self.effort}
        config.pop("trainable", None)
        return config


def build_follower(segment_samples: int = SEGMENT_SAMPLES, effort: float = 1.0) -> keras.Model:
    """Build the network that follows candidates; it holds no trained weights.

    Args:
        segment_samples: length n of the input.
        effort: share of a segment's frames that is read; the released detector reads them all.

    Returns:
        A model from ``followed`` (b, n, 2) float32 in [-1, 1], ``offsets`` (b, len(GRIDS)) int32, from the start of
        the segment and below each grid's frame, and ``rate_hz`` (b,) int32 to ``frames`` (b, len(GRIDS), STATISTICS,
        HALVES, 2), zeros where a grid is not followed or
        the sound repeats itself.
    """
    samples = keras.Input((segment_samples, SEGMENT_CHANNELS), dtype="float32", name="followed")
    offsets = keras.Input((len(GRIDS),), dtype="int32", name="offsets")
    rate = keras.Input((), dtype="int32", name="rate_hz")
    other = OtherRate(name="followed_at_the_other_rate")(samples, rate)
    repetition = Repetition()
    found: list[Any] = []
    for index, (name, layer) in enumerate(evidence_layers().items()):
        heard = other if name in RESAMPLED else samples
        if not layer.is_followed:
            found.append(None)
            continue
        followed = FollowedFrames(layer, effort, name=f"followed_{name}")
        frames = followed(heard, offsets[:, index], rate if layer.rate_hz else None)
        found.append(repetition.where_new(layer, heard, frames))
    nothing = ops.zeros_like(found[0])
    frames = ops.stack([nothing if one is None else one for one in found], axis=1)
    inputs = {"followed": samples, "offsets": offsets, "rate_hz": rate}
    return keras.Model(inputs, {"frames": frames}, name=FOLLOWER_NAME)
