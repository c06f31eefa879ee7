"""The network as a whole."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.network import build_network

CROP = 32_768


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A small untrained network, always the same."""
    keras.utils.set_random_seed(5)
    return build_network(CROP, filters=(4, 4, 6, 8), seed=5)


def test_outputs_have_the_promised_shapes(network: keras.Model) -> None:
    """Guards the contract with the worker: names and shapes of the three outputs."""
    outputs = network.predict_on_batch(np.zeros((3, CROP, 2), dtype=np.float32))
    assert {key: value.shape for key, value in outputs.items()} == {
        "lossy_logit": (3,),
        "family_logits": (3, len(FAMILIES)),
        "bitrate_logits": (3, len(BITRATE_CLASSES)),
    }


def test_the_default_input_is_one_segment() -> None:
    """Guards the contract with the framing."""
    network = build_network()
    assert network.input_shape == (None, SEGMENT_SAMPLES, 2)
    assert network.input.name == "samples"


def test_rows_do_not_see_each_other(network: keras.Model) -> None:
    """Guards batching: a segment scores the same alone and among others."""
    batch = np.random.default_rng(7).standard_normal((5, CROP, 2)).astype(np.float32) * 0.1
    together = network.predict_on_batch(batch)["lossy_logit"]
    alone = np.concatenate([network.predict_on_batch(row[None])["lossy_logit"] for row in batch])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_level_does_not_matter(network: keras.Model) -> None:
    """Guards gain invariance through the whole network, away from the floor."""
    batch = np.random.default_rng(8).standard_normal((2, CROP, 2)).astype(np.float32) * 0.2
    loud, quiet = network.predict_on_batch(batch), network.predict_on_batch(batch * 0.25)
    for key, value in loud.items():
        np.testing.assert_allclose(value, quiet[key], atol=2e-3)


def test_weights_fit_every_length() -> None:
    """Guards training on shorter crops than are served."""
    keras.utils.set_random_seed(6)
    short, long = build_network(CROP, filters=(2, 2, 2, 2)), build_network(2 * CROP, filters=(2, 2, 2, 2))
    long.set_weights(short.get_weights())
    outputs = long.predict_on_batch(np.ones((1, 2 * CROP, 2), dtype=np.float32))
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_silence_and_full_scale_give_numbers(network: keras.Model) -> None:
    """Guards against NaN on the two extremes of a signal."""
    extremes: NDArray[np.float32] = np.zeros((2, CROP, 2), dtype=np.float32)
    extremes[1] = np.where(np.arange(CROP)[:, None] % 2, 1.0, -1.0)
    outputs = network.predict_on_batch(extremes)
    assert all(np.isfinite(value).all() for value in outputs.values())
