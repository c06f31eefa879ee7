"""The batcher around the network, with a small stand-in network whose right answers are known."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.grid.combine import SCORES, SHAPES
from model.grid.evidence import HALVES
from model.grid.follow import STATISTICS
from model.grid.following import CANDIDATES, CANDIDATES_EVERYWHERE, KEPT
from model.grid.names import GRIDS
from worker import metrics
from worker.detect.detector import FOLLOW_BUCKETS, Detector
from worker.detect.device import choose_device
from worker.exceptions import FatalError, SettingsError
from worker.records import SegmentOutputs

BUCKETS = (4, 16)


def constant_network() -> keras.Model:
    """A network that answers each row with that row's first sample, so that mixed-up rows show."""
    samples = keras.Input((SEGMENT_SAMPLES, 2), name="samples")
    first = samples[:, 0, 0]
    return keras.Model(
        samples,
        {
            "lossy_logit": first,
            "family_logits": keras.ops.repeat(first[:, None], len(FAMILIES), axis=1),
            "bitrate_logits": keras.ops.repeat(first[:, None], len(BITRATE_CLASSES), axis=1),
        },
    )


def searching_network() -> keras.Model:
    """A search that finds one AAC grid: a hundred times the second sample, at ten thousand times the third.

    The rest is a wave of the fourth sample's height and the fifth's frequency, so that segments can differ.
    """
    samples = keras.Input((SEGMENT_SAMPLES, 2), name="samples")
    offset = keras.ops.cast(keras.ops.round(10_000.0 * samples[:, 2, 0]), "int32")
    frame = SHAPES[GRIDS[0]][-1]  # the first grid's halves come first
    line = keras.ops.one_hot(offset, SCORES) + keras.ops.one_hot(offset + frame, SCORES)
    wave = samples[:, 3, :1] * keras.ops.sin(keras.ops.arange(SCORES, dtype="float32") * samples[:, 4, :1])
    rate = keras.Input((), dtype="int32", name="rate_hz")
    return keras.Model({"samples": samples, "rate_hz": rate}, {"grid_scores": 100.0 * samples[:, 1, :1] * line + wave})


def following_network() -> keras.Model:
    """A follower that hears one AAC grid: a hundred times the sixth sample, at ten thousand times the third."""
    samples = keras.Input((SEGMENT_SAMPLES, 2), name="followed")
    offsets = keras.Input((len(GRIDS),), dtype="int32", name="offsets")
    offset = keras.ops.cast(keras.ops.round(10_000.0 * samples[:, 2, 0]), "int32")
    heard = keras.ops.where(keras.ops.equal(offsets[:, 0], offset), 100.0 * samples[:, 5, 0], 0.0)[:, None]
    sums = keras.ops.concatenate([heard, keras.ops.zeros_like(offsets[:, 1:], dtype="float32")], axis=1)
    sums = keras.ops.repeat(keras.ops.repeat(sums[..., None, None], STATISTICS, axis=2), HALVES, axis=3)
    frames = keras.ops.stack([sums, keras.ops.ones_like(sums)], axis=-1)
    rate = keras.Input((), dtype="int32", name="rate_hz")
    return keras.Model({"followed": samples, "offsets": offsets, "rate_hz": rate}, {"frames": frames})


def detector_of(network: Any, follower: Any = None, **settings: int) -> Detector:
    """A detector around a bare network."""
    artefact: Any = SimpleNamespace(
        spectrogram=network, search=searching_network(), follower=follower or following_network()
    )
    return Detector(artefact, BUCKETS, batch_timeout_ms=20, max_callers=16, **settings)


def starts_of(segments: np.ndarray[Any, np.dtype[np.float32]]) -> list[int]:
    """First samples of segments, some hundredths of a second apart."""
    return [index * (SEGMENT_SAMPLES + 1_000) for index in range(len(segments))]


def score(detector: Detector, segments: np.ndarray[Any, np.dtype[np.float32]]) -> SegmentOutputs:
    """What the detector says of segments that don't quite follow each other."""
    return detector.score(segments, starts_of(segments), 44_100)


def segments_of(values: list[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Segments whose first sample is the given value; all can be heard, and none promises more than the others."""
    segments = np.zeros((len(values), SEGMENT_SAMPLES, 2), np.float32)
    segments[:, 100:] = 0.01
    segments[:, 0, 0] = values
    return segments


def test_each_caller_gets_its_own_rows_back() -> None:
    """Rows of concurrent calls are batched together; a mix-up would judge one track by another's audio."""
    detector = detector_of(constant_network())
    calls = [[caller + row / 100 for row in range(1 + caller % 7)] for caller in range(24)]
    with ThreadPoolExecutor(16) as threads:
        outputs = list(threads.map(lambda values: score(detector, segments_of(values)), calls))
    for values, output in zip(calls, outputs, strict=True):
        np.testing.assert_allclose(output.lossy_logits, values, rtol=1e-6)
        assert output.family_logits.shape == (len(values), len(FAMILIES))
        assert output.bitrate_logits.shape == (len(values), len(BITRATE_CLASSES))


@pytest.mark.parametrize(
    ("settings", "searched", "followed"),
    [
        ({}, 3, (2, 4, 3, 1, 0)),
        ({"searched_segments": 2}, 2, (2, 4, 3, 1)),
        ({"searched_segments": 1}, 1, (2, 4)),
        ({"searched_segments": 0}, 5, (2, 4, 3, 1, 0)),
    ],
)
def test_the_segments_that_promise_most_are_searched_and_followed(
    settings: dict[str, int], searched: int, followed: tuple[int, ...]
) -> None:
    """A search costs a CPU-second or two: a few segments get one, twice as many are followed; all on request."""
    segments = segments_of([0.0] * 5)
    segments[:, 1, 0] = (0.01, 0.02, 0.09, 0.03, 0.04)
    before = batch_rows("search")[0], batch_rows("follow")[1]
    search = score(detector_of(constant_network(), **settings), segments).search
    assert search.segments == followed
    assert search.starts == tuple(starts_of(segments)[index] for index in followed)
    assert batch_rows("search")[0] - before[0] == searched
    everywhere = settings.get("searched_segments") == 0
    offsets = CANDIDATES_EVERYWHERE * len(followed) if everywhere else CANDIDATES + KEPT * (len(followed) - 1)
    assert batch_rows("follow")[1] - before[1] == offsets


def test_what_is_clear_ends_the_search() -> None:
    """Most lossy tracks show it at once; to search and follow more would triple their cost for nothing."""
    segments = segments_of([0.0] * 3)
    segments[:, 1, 0] = (0.1, 0.9, 0.2)
    before = batch_rows("follow")
    assert score(detector_of(constant_network()), segments).search.segments == (1,)
    assert score(detector_of(constant_network(), searched_segments=0), segments).search.segments == (1, 2, 0)
    assert batch_rows("follow") == before


def test_candidates_are_followed_through_segments() -> None:
    """A weak grid is named by the search and made clear by all frames at its offset, in each segment at its place."""
    segments = segments_of([0.0] * 3)
    starts = starts_of(segments)
    segments[:, 1, 0] = 0.08
    segments[:, 2, 0] = [(700 - start) % 1_024 / 10_000 for start in starts]
    segments[:, 5, 0] = 0.09
    before = batch_rows("follow")
    search = detector_of(constant_network()).score(segments, starts, 44_100).search
    assert search.followed
    assert search.best_z == pytest.approx(9.0 * 5**0.5)
    assert (GRIDS[search.best_grid], search.offset_in(0)) == ("aac", 700)
    np.testing.assert_allclose(search.segment_z, 9.0, rtol=1e-5)
    after = batch_rows("follow")
    rows = CANDIDATES + 2 * KEPT
    assert (after[0] - before[0], after[1] - before[1]) == (rows / FOLLOW_BUCKETS[-1], rows)
    everywhere = detector_of(constant_network(), searched_segments=0)
    assert everywhere.score(segments, starts, 44_100).search.best_z == pytest.approx(9.0 * 5**0.5)
    assert batch_rows("follow")[1] - after[1] >= 3 * CANDIDATES_EVERYWHERE


def test_segments_are_added_at_their_place_in_the_track() -> None:
    """A codec's frames run through: what lies at one frame offset of the track belongs together, wherever it is cut."""
    segments = segments_of([0.0] * 3)
    starts = starts_of(segments)
    segments[:, 1, 0] = 0.10
    segments[:, 2, 0] = [(700 - start) % 1_024 / 10_000 for start in starts]
    segments[:, 3, 0] = 0.5  # segments that are alike would count once
    segments[:, 4, 0] = (0.7, 1.3, 2.1)
    detector = detector_of(constant_network())
    together = detector.score(segments, starts, 44_100).search
    assert together.best_z == pytest.approx(50.0 / 5**0.5, abs=1.5)
    assert (GRIDS[together.best_grid], together.offset_in(0), together.offset_in(starts[2])) == (
        "aac",
        700,
        (700 - starts[2]) % 1_024,
    )
    np.testing.assert_allclose(together.segment_z, 10.0, atol=0.6)
    assert not together.followed
    assert detector.score(segments, [0, 1, 2], 44_100).search.followed  # apart from each other they are not clear


@pytest.mark.parametrize("followed", [False, True])
def test_each_caller_gets_its_own_search_back(followed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Searches and followed candidates of concurrent calls share batches; a mix-up would name another track's codec."""
    detector = detector_of(constant_network(), searched_segments=1)

    def find(caller: int) -> tuple[float, int]:
        segments = segments_of([0.0])
        segments[:, 1, 0], segments[:, 2, 0] = 0.05 if followed else caller / 100, caller / 1_000
        segments[:, 5, 0] = caller / 100
        search = score(detector, segments).search
        assert search.followed == followed
        return search.best_z, search.offset_in(0)

    callers = range(21, 37)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(find, callers))
    assert found == [(pytest.approx(float(caller)), 10 * caller) for caller in callers]


def test_calls_are_joined_and_padded_to_a_bucket() -> None:
    """Without joining, the network would run once a call; without buckets, at any size."""
    detector = detector_of(constant_network())
    detector.warm_up()
    before = batch_rows()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: score(detector, segments_of([0.0, 1.0])), range(16)))
    batches, rows = (after - earlier for after, earlier in zip(batch_rows(), before, strict=True))
    assert batches < 16
    assert rows >= 32
    assert rows % BUCKETS[0] == 0


def test_a_track_with_more_segments_than_the_largest_bucket_is_split() -> None:
    """A long track must not be refused because it has more segments than one batch."""
    detector = detector_of(constant_network())
    values = [float(value) for value in range(2 * BUCKETS[-1] + 3)]
    np.testing.assert_allclose(score(detector, segments_of(values)).lossy_logits, values)


def failing(samples: Any, *, training: bool) -> Any:
    """A network that TensorFlow can't run."""
    del training
    with tf.control_dependencies([tf.debugging.assert_equal(tf.size(samples), -1)]):
        answer = tf.identity(samples[:, 0, 0])
    return dict.fromkeys(("lossy_logit", "family_logits", "bitrate_logits"), answer)


def uncompilable(inputs: Any, *, training: bool) -> Any:
    """A network that XLA can't compile."""
    del training
    return {"frames": tf.numpy_function(np.zeros_like, [inputs["followed"]], tf.float32)}


@pytest.mark.parametrize("parts", [{"network": failing}, {"network": constant_network(), "follower": uncompilable}])
def test_a_failing_network_is_fatal(parts: dict[str, Any]) -> None:
    """A broken network must stop the worker, not send every delivery to review."""
    with pytest.raises(FatalError, match="network failed on a batch of 1 segments"):
        score(detector_of(**parts), segments_of([1.0]))


def test_a_wanted_gpu_that_is_missing_is_a_plain_error() -> None:
    """Silently falling back to the CPU would hide a broken GPU node."""
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(SettingsError, match="sees no GPU"):
        choose_device("gpu")
    assert choose_device("auto") == "cpu"


def batch_rows(part: str = "spectrogram") -> tuple[float, float]:
    """Batches of a part of the network run so far, and their rows in all."""
    samples = {
        sample.name: sample.value
        for metric in metrics.BATCH_ROWS.collect()
        for sample in metric.samples
        if sample.labels["part"] == part
    }
    return samples.get("lossgate_batch_rows_count", 0.0), samples.get("lossgate_batch_rows_sum", 0.0)
