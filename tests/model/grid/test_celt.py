"""Opus at 44.1 kHz: found wherever between two samples its frames begin, and named so."""

import keras
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from model.grid.celt import ResampledCeltEvidence
from model.grid.celt_kernel import HALF_SINC
from model.grid.constants import CELT_HOP_AT_44K1, PHASES_A_SAMPLE
from model.grid.evidence import HALVES
from model.grid.follow import FollowedFrames
from model.grid.statistics import OffsetScores
from tests.model.grid.conftest import Encode

_FOUND = 12.0  # standard deviations
_CHANCE = 5.0
_STEP = 44_100 / 48_000
# Encoder and what its decoder drops, in samples at 48 kHz.
_ENCODERS = {"libopus": 312, "opus": 120}
# Cut off at 48 kHz before the resampling; 160 lengths in a row leave the frames in 160 places.
_TRIMS = (3_000, 3_011, 3_047)


@pytest.fixture(scope="module")
def layer() -> ResampledCeltEvidence:
    """Return the layer with half of its stretches."""
    return ResampledCeltEvidence(6)


def _array(tensor: object) -> NDArray[np.float64]:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def _trimmed(encode: Encode, encoder: str, trim: int) -> NDArray[np.float32]:
    """Encode, decode at 48 kHz, cut samples off, resample and round: (1, n, 2)."""
    decoded = encode(f"{encoder}.opus", "-c:a", encoder, "-b:a", "128k", "-strict", "-2", shift=trim, rate_hz=48_000)
    resampled = soxr.resample(decoded[0].astype(np.float64), 48_000, 44_100, quality="VHQ")
    return (np.round(resampled * 32_768.0) / 32_768.0).astype(np.float32)[None]


def _place(encoder: str, trim: int) -> int:
    """Where the first frame begins, as the layer counts: its windows reach ``HALF_SINC + 1`` samples further back."""
    first = -(_ENCODERS[encoder] + trim) * _STEP - HALF_SINC - 1
    return round(first * PHASES_A_SAMPLE) % (CELT_HOP_AT_44K1 * PHASES_A_SAMPLE)


@pytest.mark.parametrize("encoder", _ENCODERS)
@pytest.mark.parametrize("trim", _TRIMS)
def test_a_trimmed_decode_is_found_at_its_place(
    layer: ResampledCeltEvidence, encode: Encode, encoder: str, trim: int
) -> None:
    """Guards decodes of any phase, end to end: the search names the part of a sample and following stands out there."""
    samples = _trimmed(encode, encoder, trim)
    scores = _array(OffsetScores()(layer(samples)))[0].reshape(HALVES, layer.offsets)
    place, found = _place(encoder, trim), int(scores.min(axis=0).argmax())
    assert scores[:, found].min() > _FOUND
    assert abs(found - place) <= 1
    offsets = (found + np.array([0, PHASES_A_SAMPLE // 2, PHASES_A_SAMPLE, 400])) % layer.offsets
    sums = _array(FollowedFrames(layer)(np.repeat(samples, len(offsets), axis=0), offsets.astype(np.int32)))
    there, *beside = (sums[..., 0] / np.sqrt(sums[..., 1])).max(axis=1)
    assert there.min() > 2 * _FOUND
    assert np.max(beside) < there.min() / 2
    assert np.max(beside[1:]) < _CHANCE


def test_an_original_has_no_place(layer: ResampledCeltEvidence, untouched: NDArray[np.float32]) -> None:
    """Guards the restraint: forty times as many places must not make chance look like a codec."""
    assert _array(OffsetScores()(layer(untouched)))[0].min(axis=0).max() < _CHANCE


def test_silence_has_no_place(layer: ResampledCeltEvidence) -> None:
    """Guards the divisions: digital silence has no angle."""
    scores = _array(OffsetScores()(layer(np.zeros((1, 32_768, 2), np.float32))))
    assert np.abs(scores).max() < 1.0


def test_samples_move_by_parts_of_one(layer: ResampledCeltEvidence) -> None:
    """Guards following between samples: a sine read later by 13 fortieths is the same sine, 13 fortieths on."""
    times = np.arange(1_000)
    tones = [0.9 * np.pi * hertz / 22_050 for hertz in (1_000.0, 15_000.0)]
    channels = np.stack([np.sin(tone * times) for tone in tones]).astype(np.float32)
    moved, whole = layer.whole_samples(channels, np.int32(7 * PHASES_A_SAMPLE + 13))
    later = np.stack([np.sin(tone * (times + 13 / PHASES_A_SAMPLE)) for tone in tones])
    inside = slice(HALF_SINC, -HALF_SINC)
    assert int(_array(whole)) == 7
    np.testing.assert_allclose(_array(moved)[:, inside], later[:, inside], atol=2e-4)


def test_rounding_noise_has_unit_gain(layer: ResampledCeltEvidence) -> None:
    """Guards the unit of the hole: white noise stays as strong in every line."""
    frames = np.random.default_rng(2).standard_normal((2, 50, layer.window)).astype(np.float32)
    assert float(_array(layer.frame_coefficients(frames)).std()) == pytest.approx(1.0, abs=0.06)


def test_it_is_rebuilt_from_its_configuration(layer: ResampledCeltEvidence) -> None:
    """Guards the saved detector: it must count the same after loading."""
    again = ResampledCeltEvidence.from_config(layer.get_config())
    samples = np.random.default_rng(3).uniform(-0.1, 0.1, (1, 32_768, 2)).astype(np.float32)
    np.testing.assert_array_equal(_array(again(samples)), _array(layer(samples)))
