"""The batcher around the network, with a small stand-in network whose right answers are known."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.grid.names import GRIDS
from worker import metrics
from worker.detect.detector import Detector
from worker.detect.device import choose_device
from worker.exceptions import FatalError, SettingsError

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
    """A search that answers each row with that row's second sample as the score of every grid."""
    samples = keras.Input((SEGMENT_SAMPLES, 2), name="samples")
    second = keras.ops.repeat(samples[:, 1, :1, None], len(GRIDS), axis=1)
    return keras.Model(samples, {"grid": keras.ops.concatenate([second, second], axis=-1)})


def detector_of(network: Any) -> Detector:
    """A detector around a bare network."""
    artefact: Any = SimpleNamespace(spectrogram=network, search=searching_network())
    return Detector(artefact, BUCKETS, batch_timeout_ms=20, max_callers=16)


def segments_of(values: list[float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Segments whose first sample is the given value."""
    segments = np.zeros((len(values), SEGMENT_SAMPLES, 2), np.float32)
    segments[:, 0, 0] = values
    return segments


def test_each_caller_gets_its_own_rows_back() -> None:
    """Rows of concurrent calls are batched together; a mix-up would judge one track by another's audio."""
    detector = detector_of(constant_network())
    calls = [[caller + row / 100 for row in range(1 + caller % 7)] for caller in range(24)]
    with ThreadPoolExecutor(16) as threads:
        outputs = list(threads.map(lambda values: detector.score(segments_of(values)), calls))
    for values, output in zip(calls, outputs, strict=True):
        np.testing.assert_allclose(output.lossy_logits, values, rtol=1e-6)
        assert output.family_logits.shape == (len(values), len(FAMILIES))
        assert output.bitrate_logits.shape == (len(values), len(BITRATE_CLASSES))


def test_the_segment_that_promises_most_is_searched() -> None:
    """The search sees one segment a track: the one with the most high-frequency energy, and says which."""
    segments = np.zeros((5, SEGMENT_SAMPLES, 2), np.float32)
    segments[:, 1, 0] = (0.1, 0.2, 0.9, 0.3, 0.4)
    output = detector_of(constant_network()).score(segments)
    assert output.searched == 2
    np.testing.assert_allclose(output.grid, np.full((len(GRIDS), 2), 0.9), rtol=1e-6)


def test_calls_are_joined_and_padded_to_a_bucket() -> None:
    """Without joining, the network would run once a call; without buckets, at any size."""
    detector = detector_of(constant_network())
    detector.warm_up()
    before = batch_rows()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: detector.score(segments_of([0.0, 1.0])), range(16)))
    batches, rows = (after - earlier for after, earlier in zip(batch_rows(), before, strict=True))
    assert batches < 16
    assert rows >= 32
    assert rows % BUCKETS[0] == 0


def test_a_track_with_more_segments_than_the_largest_bucket_is_split() -> None:
    """A long track must not be refused because it has more segments than one batch."""
    detector = detector_of(constant_network())
    values = [float(value) for value in range(2 * BUCKETS[-1] + 3)]
    np.testing.assert_allclose(detector.score(segments_of(values)).lossy_logits, values)


def test_a_failing_network_is_fatal() -> None:
    """A broken network must stop the worker, not send every delivery to review."""

    def fail(samples: Any, *, training: bool) -> Any:
        del training
        with tf.control_dependencies([tf.debugging.assert_equal(tf.size(samples), -1)]):
            answer = tf.identity(samples[:, 0, 0])
        return {"lossy_logit": answer, "family_logits": answer, "bitrate_logits": answer}

    with pytest.raises(FatalError, match="network failed on a batch of 1 segments"):
        detector_of(fail).score(segments_of([1.0]))


def test_a_wanted_gpu_that_is_missing_is_a_plain_error() -> None:
    """Silently falling back to the CPU would hide a broken GPU node."""
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(SettingsError, match="sees no GPU"):
        choose_device("gpu")
    assert choose_device("auto") == "cpu"


def batch_rows() -> tuple[float, float]:
    """Batches of the spectrogram part run so far, and their rows in all."""
    samples = {
        sample.name: sample.value
        for metric in metrics.BATCH_ROWS.collect()
        for sample in metric.samples
        if sample.labels["part"] == "spectrogram"
    }
    return samples["lossgate_batch_rows_count"], samples["lossgate_batch_rows_sum"]
