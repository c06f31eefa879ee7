"""The layers: shapes, values, and the way to disk and back."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import STFT_FLOOR_DB
from model.layers import LogMagnitudeSTFT, MeanOverTime, MidSide, PerImageNormalisation, RandomHighFrequencyMask


def _array(tensor: object) -> NDArray[np.float32]:
    """Any backend's tensor as NumPy."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_mid_side_of_a_mono_signal() -> None:
    """Guards the sign and the scale: equal channels leave nothing in the side."""
    mono = np.repeat(np.linspace(-1, 1, 64, dtype=np.float32)[None, :, None], 2, axis=2)
    out = _array(MidSide()(mono))
    np.testing.assert_allclose(out[..., 0], mono[..., 0])
    np.testing.assert_array_equal(out[..., 1], 0.0)


def test_stft_shape_and_level() -> None:
    """Guards the axes and the unit: a full-scale sine peaks at 0 dB in its own bin."""
    layer = LogMagnitudeSTFT(frame_samples=512, hop_samples=256)
    bin_index = 40
    wave = np.sin(2 * np.pi * bin_index / 512 * np.arange(4_096)).astype(np.float32)
    samples = np.stack([wave, 0.1 * wave], axis=1)[None]
    image = _array(layer(samples))
    assert image.shape == (1, 15, 256, 2)
    assert layer.compute_output_shape((None, 4_096, 2)) == (None, 15, 256, 2)
    # DC is dropped, so the bins are one lower.
    assert image[0, 7, :, 0].argmax() == bin_index - 1
    assert image[0, 7, bin_index - 1] == pytest.approx([0.0, -20.0], abs=0.05)


def test_silence_ends_at_the_floor() -> None:
    """Guards against minus infinity: digital silence is the floor everywhere."""
    image = _array(LogMagnitudeSTFT()(np.zeros((1, 8_192, 2), dtype=np.float32)))
    np.testing.assert_allclose(image, STFT_FLOOR_DB, atol=1e-3)


def test_mask_acts_in_training_only() -> None:
    """Guards the judge: a served network must see the treble."""
    layer = RandomHighFrequencyMask(probability=1.0, lowest_fraction=0.5, fill=-9.0)
    images = np.ones((6, 5, 64, 2), dtype=np.float32)
    np.testing.assert_array_equal(_array(layer(images, training=False)), images)
    np.testing.assert_array_equal(_array(layer(images)), images)


def test_mask_blanks_everything_above_its_edge() -> None:
    """Guards the mask: below the lowest fraction nothing, above the edge all frames and channels."""
    layer = RandomHighFrequencyMask(probability=1.0, lowest_fraction=0.5, fill=-9.0, seed=3)
    masked = _array(layer(np.ones((32, 5, 64, 2), dtype=np.float32), training=True))
    assert (masked[:, :, :32] == 1.0).all()
    edges = set()
    for image in masked:
        kept = int((image[0, :, 0] == 1.0).sum())
        edges.add(kept)
        assert (image[:, :kept] == 1.0).all()
        assert (image[:, kept:] == -9.0).all()
    assert len(edges) > 5


def test_mask_spares_some_images() -> None:
    """Guards the share: with a probability of one half some images keep their treble."""
    layer = RandomHighFrequencyMask(probability=0.5, lowest_fraction=0.1, fill=-9.0, seed=4)
    masked = _array(layer(np.ones((64, 2, 32, 1), dtype=np.float32), training=True))
    untouched = (masked == 1.0).all(axis=(1, 2, 3)).mean()
    assert 0.25 < untouched < 0.75


def test_normalisation_removes_the_level() -> None:
    """Guards gain invariance: the same image 12 dB lower gives the same numbers."""
    image = np.random.default_rng(1).normal(-60.0, 20.0, (2, 7, 33, 2)).astype(np.float32)
    layer = PerImageNormalisation()
    out = _array(layer(image))
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 0.0, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), 1.0, atol=1e-3)
    np.testing.assert_allclose(_array(layer(image - 12.0)), out, atol=1e-4)


def test_normalisation_of_silence_is_finite() -> None:
    """Guards against a division by zero spread."""
    assert np.isfinite(_array(PerImageNormalisation()(np.full((1, 4, 8, 2), -130.0, dtype=np.float32)))).all()


def test_mean_over_time() -> None:
    """Guards the axis: frames go, bins and maps stay."""
    image = np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2)
    np.testing.assert_allclose(_array(MeanOverTime()(image)), image.mean(axis=1))


@pytest.mark.parametrize(
    "layer",
    [
        MidSide(),
        LogMagnitudeSTFT(frame_samples=256, hop_samples=64, floor_db=-100.0),
        PerImageNormalisation(epsilon=0.5),
        RandomHighFrequencyMask(probability=0.3, lowest_fraction=0.2, fill=-1.0, seed=9),
        MeanOverTime(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_layer_survives_disk(layer: keras.layers.Layer, tmp_path: Path) -> None:
    """Guards the registered names and get_config: what was saved computes the same when loaded."""
    shape = (1_024, 2) if isinstance(layer, MidSide | LogMagnitudeSTFT) else (6, 32, 2)
    entry = keras.Input(shape)
    model = keras.Model(entry, layer(entry))
    path = tmp_path / "layer.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    batch = np.random.default_rng(2).standard_normal((2, *shape)).astype(np.float32)
    np.testing.assert_array_equal(_array(loaded(batch)), _array(model(batch)))
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
