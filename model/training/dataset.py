"""Training batches: an original, a harmless variant and several of its decodes, together.

Content is the other shortcut (beside the cut-off): only within one batch row of the same
music does the codec remain as the one difference.
"""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES
from model.training import augmentation
from model.training.bench import BenchTrack, Item
from model.training.chance import happens

TRUE_A_GROUP = 2  # the original or a second variant, and a variant
LOSSY_A_GROUP = 4
GROUP_ROWS = TRUE_A_GROUP + LOSSY_A_GROUP
QUIET = 0.003  # peak below which a crop teaches nothing, -50 dBFS
LARGEST_GAIN_DB = 6.0
# Of the groups; where EQ, a limiter or a resampler followed the decoder, the frame grid is lost and this network is
# all there is.  The whole group goes through the same chain: the chain itself must say nothing.
PROCESSED_SHARE = 0.4
# Of single recordings, treated alone: a network of fewer doubted every fifth resampled or dithered master.
TREATED_TRUE_SHARE = 0.35
TREATED_LOSSY_SHARE = 0.15

Batch = tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]
State = Mapping[str, Any]
"""Where a sampler stands, ready for JSON."""


def targets(items: Sequence[Item]) -> dict[str, NDArray[np.float32]]:
    """Return the targets of a batch, one row an item.

    ``lossy_logit`` (b,) is 0 or 1; the one-hot rows of ``family_logits`` (b, 7) and
    ``bitrate_logits`` (b, 5) are all zero for true recordings, so that they add no loss.
    """
    lossy = np.array([item.is_lossy for item in items], dtype=np.float32)
    family = np.zeros((len(items), len(FAMILIES)), dtype=np.float32)
    bitrate = np.zeros((len(items), len(BITRATE_CLASSES)), dtype=np.float32)
    for row, item in enumerate(items):
        if item.is_lossy:
            family[row, FAMILIES.index(item.truth)] = 1.0
            bitrate[row, item.bitrate_index] = 1.0
    return {"lossy_logit": lossy, "family_logits": family, "bitrate_logits": bitrate}


class GroupSampler:
    """Draws batches of ``groups`` x ``GROUP_ROWS`` crops, group after group."""

    def __init__(self, benches: Sequence[BenchTrack], groups: int, crop_samples: int, seed: int) -> None:
        """Keep what can fill a group.

        Args:
            benches: of the training split.
            groups: tracks a batch.
            crop_samples: length of a crop; weights do not depend on it.
            seed: everything follows from it.

        Raises:
            ValueError: no track has enough true and lossy items.
        """
        self._benches = [
            b
            for b in benches
            if sum(i.is_lossy for i in b.items) >= LOSSY_A_GROUP
            and sum(not i.is_lossy for i in b.items) >= TRUE_A_GROUP
        ]
        if not self._benches:
            message = f"no track has {TRUE_A_GROUP} true and {LOSSY_A_GROUP} lossy items: run bench first"
            raise ValueError(message)
        self._groups, self._crop, self._rng = groups, crop_samples, np.random.default_rng(seed)
        self._order: list[int] = []

    @property
    def state(self) -> State:
        """Where it stands between two batches."""
        return {"random": self._rng.bit_generator.state, "order": [int(index) for index in self._order]}

    @state.setter
    def state(self, state: State) -> None:
        """Go on where another sampler of the same tracks stood."""
        self._rng.bit_generator.state = state["random"]
        self._order = list(state["order"])

    def _next(self) -> BenchTrack:
        """Walk through all tracks in random order before any comes back."""
        if not self._order:
            self._order = list(self._rng.permutation(len(self._benches)))
        return self._benches[self._order.pop()]

    def _pick(self, bench: BenchTrack) -> list[Item]:
        """Choose the true items and the decodes of one group."""
        true = [item for item in bench.items if not item.is_lossy]
        lossy = [item for item in bench.items if item.is_lossy]
        picked_true = self._rng.permutation(len(true))[:TRUE_A_GROUP]
        picked_lossy = self._rng.permutation(len(lossy))[:LOSSY_A_GROUP]
        return [true[i] for i in picked_true] + [lossy[i] for i in picked_lossy]

    def _crops(self, bench: BenchTrack, items: Sequence[Item]) -> NDArray[np.float32]:
        """Cut all items at about the same place, shifted by a few samples each."""
        rng = self._rng
        arrays = [bench.samples(item) for item in items]
        room = min(len(a) for a in arrays) - self._crop - 64
        for _ in range(4):
            at = int(rng.integers(0, max(room, 1)))
            if int(np.abs(arrays[0][at : at + self._crop : 16]).max()) > QUIET * 32_768:
                break
        gain = 10.0 ** (rng.uniform(-LARGEST_GAIN_DB, LARGEST_GAIN_DB) / 20.0) if happens(rng, 0.5) else 1.0
        swap, flip = happens(rng, 0.5), happens(rng, 0.5)
        crops = np.empty((len(items), self._crop, 2), dtype=np.float32)
        for row, array in enumerate(arrays):
            start = at + int(rng.integers(0, 64))
            crops[row] = array[start : start + self._crop]
        crops *= np.float32(gain / 32_768.0 * (-1.0 if flip else 1.0))
        for crop, item in zip(crops, items, strict=True):
            if happens(rng, TREATED_LOSSY_SHARE if item.is_lossy else TREATED_TRUE_SHARE):
                crop[:] = augmentation.augment(crop, item.rate_hz, augmentation.draw_treatment(rng), rng)
        if happens(rng, PROCESSED_SHARE):
            self._process(crops, bench.track.rate_hz)
        return crops[:, :, ::-1] if swap else crops

    def _process(self, crops: NDArray[np.float32], rate_hz: int) -> None:
        """Send all crops of a group through one chain, in place."""
        seed, chain = int(self._rng.integers(2**32)), augmentation.draw_chain(self._rng)
        for crop in crops:
            crop[:] = augmentation.augment(crop, rate_hz, chain, np.random.default_rng(seed))

    def batch(self) -> Batch:
        """Return samples (groups * GROUP_ROWS, crop, 2) and the targets."""
        samples: list[NDArray[np.float32]] = []
        items: list[Item] = []
        for _ in range(self._groups):
            bench = self._next()
            picked = self._pick(bench)
            samples.append(self._crops(bench, picked))
            items.extend(picked)
        return np.concatenate(samples), targets(items)


def prefetched(sampler: GroupSampler, count: int, ahead: int = 3) -> Iterator[tuple[Batch, State]]:
    """Yield ``count`` batches, read ahead on a thread: the disk must not wait for the network.

    With each comes the sampler's state right after it: by the time a batch is learnt from, the
    sampler itself is some batches further.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=ahead)

    def read() -> None:
        try:
            for _ in range(count):
                batch = sampler.batch()
                ready.put((batch, sampler.state))
        except Exception as error:  # noqa: BLE001 - handed to the consumer below
            ready.put(error)

    threading.Thread(target=read, daemon=True).start()
    for _ in range(count):
        value = ready.get()
        if isinstance(value, Exception):
            raise value
        yield value
