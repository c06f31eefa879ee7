"""The network behind TensorFlow's in-graph dynamic batcher.

Many lanes call `Detector.score` with the segments of one track each: the spectrogram part hears them all,
the frame-grid search gets the few that promise most,
one after another until something is clear, and the follower some more with the offsets that look best.  For each part
`tf.nondifferentiable_batch_function` (TensorFlow Serving's batcher) joins rows of different calls into one batch,
pads it to the next bucket, runs the network once and gives each caller its own rows back.
"""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.artefact import Artefact
from model.constants import ANALYSIS_RATES_HZ, SEARCHED_SEGMENTS, SEGMENT_SAMPLES
from model.grid.names import GRIDS
from model.grid.search import by_promise
from model.grid.track_search import search_track
from worker import metrics
from worker.constants import MAX_WINDOWS_PER_TRACK
from worker.exceptions import FatalError
from worker.records import SegmentOutputs

_HEARD = ("lossy_logit", "family_logits", "bitrate_logits")
_SEARCHED = ("grid_scores",)
_FOLLOWED = ("frames",)

_SEGMENTS = tf.TensorSpec((None, SEGMENT_SAMPLES, 2), tf.float32)
_RATES = tf.TensorSpec((None,), tf.int32)  # hertz
_INPUTS = {
    "spectrogram": {"samples": _SEGMENTS},
    "search": {"samples": _SEGMENTS, "rate_hz": _RATES},
    "follow": {"followed": _SEGMENTS, "offsets": tf.TensorSpec((None, len(GRIDS)), tf.int32), "rate_hz": _RATES},
}

_batchers = itertools.count()

SEARCH_BUCKETS = (1, 2)
"""Batch sizes of the search, in segments; a track sends one at a time, and it is a hundred times the work."""

FOLLOW_BUCKETS = (2,)
"""Batch sizes of the follower: a track sends one segment with as many sets of offsets as it has candidates.

Each size is compiled by itself, twenty CPU-seconds more at the start; rows run one by one anyway.
"""

_MICROSECONDS_PER_MS = 1_000
_BATCH_THREADS = 1
"""One batch runs at a time: TensorFlow already spreads one batch over all cores."""


class Detector:
    """Scores segments, batching across threads.

    Args:
        artefact: the released network.
        buckets: batch sizes the spectrogram part runs with, in segments, ascending.
        batch_timeout_ms: longest wait for a batch to fill.
        max_callers: threads that may call at once; bounds the batcher's queue.
        searched_segments: segments of a track that are searched for frame grids at most; 0 for all.
        compile_follower: whether XLA compiles the follower: 23 CPU-seconds more at the start, a fifth off each track
            that is followed.
    """

    def __init__(
        self,
        artefact: Artefact,
        buckets: Sequence[int],
        batch_timeout_ms: float,
        max_callers: int,
        searched_segments: int = SEARCHED_SEGMENTS,
        *,
        compile_follower: bool = True,
    ) -> None:
        self._searched_segments = searched_segments
        self._buckets = sorted(set(buckets))
        self._hear = _batched("spectrogram", artefact.spectrogram, _HEARD, self._buckets, batch_timeout_ms, max_callers)
        self._search = _batched("search", artefact.search, _SEARCHED, SEARCH_BUCKETS, batch_timeout_ms, max_callers)
        follower = _compiled(artefact.follower) if compile_follower else artefact.follower
        self._follow = _batched("follow", follower, _FOLLOWED, FOLLOW_BUCKETS, batch_timeout_ms, max_callers)

    def warm_up(self) -> float:
        """Run each part, so that no delivery pays for tracing; returns the seconds it took."""
        started = time.monotonic()
        parts = (self._warm_up_hearing, self._warm_up_search, self._warm_up_following)
        with ThreadPoolExecutor(len(parts)) as pool:  # much of it is TensorFlow's own work, beside Python's
            for done in [pool.submit(part) for part in parts]:
                done.result()
        return time.monotonic() - started

    def _warm_up_hearing(self) -> None:
        for rows in self._buckets:
            self._hear(_silence(rows))

    def _warm_up_search(self) -> None:
        # Of one row only: the graph is the same for all, runs them one by one, and takes five CPU-seconds for each.
        self._search(_silence(1), _rates(1, ANALYSIS_RATES_HZ[0]))

    def _warm_up_following(self) -> None:
        for rows in FOLLOW_BUCKETS:
            offsets = tf.zeros((rows, len(GRIDS)), tf.int32)
            self._follow(_silence(rows), offsets, _rates(rows, ANALYSIS_RATES_HZ[0]))

    def score(self, segments: NDArray[np.float32], starts: Sequence[int], rate_hz: int) -> SegmentOutputs:
        """Score the segments of one track.

        Args:
            segments: (n, SEGMENT_SAMPLES, 2), n ≥ 1, float32 in [-1, 1] at the analysis rate.
            starts: n first samples of the segments in the track, at the analysis rate.
            rate_hz: that rate.

        Raises:
            FatalError: TensorFlow failed; no later call can be trusted.
        """
        try:
            search = search_track(
                lambda index: self._search(tf.constant(segments[index : index + 1]), _rates(1, rate_hz))[0].numpy()[0],
                lambda index, offsets: self._follow(
                    tf.repeat(segments[index : index + 1], len(offsets), axis=0),
                    tf.constant(offsets, tf.int32),
                    _rates(len(offsets), rate_hz),
                )[0].numpy(),
                by_promise(segments),
                starts,
                rate_hz,
                self._searched_segments or None,
            )
            lossy, family, bitrate = (output.numpy() for output in self._hear(tf.constant(segments)))
        except tf.errors.OpError as error:
            msg = f"The network failed on a batch of {len(segments)} segments: {error.message}"
            raise FatalError(msg) from error
        metrics.SEGMENTS_SCORED.inc(len(segments))
        return SegmentOutputs(lossy.reshape(len(segments)), family, bitrate, search)


def _silence(rows: int) -> Any:
    return tf.zeros((rows, SEGMENT_SAMPLES, 2))


def _rates(rows: int, rate_hz: int) -> Any:
    return tf.fill((rows,), tf.constant(rate_hz, tf.int32))


def _compiled(network: Any) -> Any:
    """Have XLA compile a network: the follower costs 1.4 CPU-seconds for two rows instead of 1.65 (measured).

    The search doesn't: XLA computes the harmonics of a line's angle anew for each, which costs it seven times as much.
    """

    def run(inputs: Any, *, training: bool) -> Any:
        return network(inputs, training=training)

    return tf.function(run, jit_compile=True, autograph=False)


def _batched(
    part: str, network: Any, outputs: Sequence[str], buckets: Sequence[int], batch_timeout_ms: float, max_callers: int
) -> Any:
    """Wrap a network in the batcher; returns a callable of its inputs → one tensor per name in `outputs`."""
    inputs = _INPUTS[part]

    def count_rows(rows: NDArray[np.int32]) -> NDArray[np.int32]:
        metrics.BATCH_ROWS.labels(part).observe(int(rows))
        return rows

    @tf.nondifferentiable_batch_function(
        num_batch_threads=_BATCH_THREADS,
        # The largest call; the batcher splits it into batches of the largest bucket.
        max_batch_size=max(MAX_WINDOWS_PER_TRACK, buckets[-1]),
        batch_timeout_micros=int(batch_timeout_ms * _MICROSECONDS_PER_MS),
        allowed_batch_sizes=list(buckets),
        # A caller's rows may be split over several batches; room for all callers' splits, so that none is refused.
        max_enqueued_batches=max(64, 8 * max_callers),
        autograph=False,
    )
    def run_batch(*rows: Any) -> list[Any]:
        counted = tf.numpy_function(count_rows, [tf.shape(rows[0])[0]], tf.int32)
        with tf.control_dependencies([counted]):
            answers = network(rows[0] if len(rows) == 1 else dict(zip(inputs, rows, strict=True)), training=False)
        return [answers[name] for name in outputs]

    # TensorFlow finds a batcher's queue by the name of its node: two of the same name would share one queue.
    scope = f"{part}_{next(_batchers)}"

    def run(*rows: Any) -> list[Any]:
        with tf.name_scope(scope):
            return list(run_batch(*rows))

    return tf.function(run, input_signature=list(inputs.values()), autograph=False)
