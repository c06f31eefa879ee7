"""DTS' filter bank against decodes of ffmpeg's encoder."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from model.grid.dts import DTSEvidence
from model.grid.statistics import OffsetScores
from model.training.bench import OTHER
from model.training.codecs import Encoding
from model.training.other_encoders import other_round_trip

_ENCODING = Encoding(OTHER, "dca", "768", 768.0)


def _noise() -> NDArray[np.int16]:
    """Falling with frequency, as music does."""
    noise = np.random.default_rng(8).standard_normal((2 * 32_768, 2))
    return np.asarray(np.round(2_000.0 * (noise + 0.9 * np.roll(noise, 1, axis=0))), dtype=np.int16)


def _scores(layer: DTSEvidence, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    samples = keras.ops.convert_to_tensor((pcm[: 2 * 32_768] / 32_768.0).astype(np.float32)[None])
    return np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(samples))))[0].sum(axis=0)


def test_a_decode_has_its_holes_at_one_offset() -> None:
    """Guards prototype and modulation: with another codec's, or half a subband beside, no offset stands out."""
    layer, pcm = DTSEvidence(8), _noise()
    decoded = other_round_trip(pcm, 44_100, _ENCODING, Path("no modules"))
    assert _scores(layer, decoded).max() > 20.0
    assert _scores(layer, pcm).max() < 8.0


def test_a_followed_frame_is_the_searched_one() -> None:
    """Guards the matrix of several subband samples: both ways of reading a frame give the same samples."""
    layer = DTSEvidence(2)
    x = np.random.default_rng(9).standard_normal((2, layer.frame + layer.taps + layer.offsets)).astype(np.float32)
    searched = np.asarray(keras.ops.convert_to_numpy(layer.coefficients(keras.ops.convert_to_tensor(x))))[:, 3]
    frame = keras.ops.convert_to_tensor(x[:, None, 3 : 3 + layer.window])
    followed = np.asarray(keras.ops.convert_to_numpy(layer.frame_coefficients(frame)))[:, 0]
    np.testing.assert_allclose(followed, searched, atol=1e-4)
