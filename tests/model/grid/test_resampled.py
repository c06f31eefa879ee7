"""Decodes that were resampled afterwards: found by their frames all the same, wherever they were cut."""

import keras
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.constants import PHASES_A_SAMPLE
from model.grid.follow import FollowedFrames
from model.grid.grids import evidence_layers
from model.grid.other_rate import OtherRate
from model.grid.resampled import ResampledEvidence
from tests.model.grid.conftest import Encode, best_offset

_FOUND = 5.0  # standard deviations of the search, which only names candidates
_FOLLOWED = 20.0
_CHANCE = 5.0
_TRIM = 3_000  # samples, before the resampling
_ENCODINGS = [
    ("aac_resampled", "a.m4a", ("-c:a", "aac", "-b:a", "256k")),
    ("ac3_resampled", "a.ac3", ("-c:a", "ac3", "-b:a", "384k")),
    ("mp3_resampled", "a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k")),
    ("vorbis_resampled", "a.ogg", ("-c:a", "libvorbis", "-q:a", "6")),
]


@pytest.fixture(scope="module")
def layers() -> dict[str, ResampledEvidence]:
    """All grids of this kind, as they ship."""
    return {name: layer for name, layer in evidence_layers().items() if isinstance(layer, ResampledEvidence)}


def _array(tensor: object) -> NDArray[np.float64]:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def _delivered(samples: NDArray[np.float32], trim: int = 0) -> NDArray[np.float32]:
    """44.1 kHz, resampled to 48, cut there, rounded to 16 bit, and read at 44.1 again: (1, n, 2) -> (1, m, 2)."""
    resampled = soxr.resample(samples[0].astype(np.float64), 44_100, 48_000, quality="HQ")[trim:]
    pcm = (np.round(resampled * 32_768.0) / 32_768.0).astype(np.float32)[None, :SEGMENT_SAMPLES]
    return np.asarray(OtherRate()(pcm, np.array([48_000], np.int32)))


def _followed(layer: ResampledEvidence, samples: NDArray[np.float32], offset: int) -> float:
    """What all frames at that offset say, by the weaker half."""
    sums = _array(FollowedFrames(layer)(samples, np.array([offset], np.int32)))[0]
    return float((sums[..., 0] / np.sqrt(sums[..., 1])).min(axis=1).max())


@pytest.mark.parametrize(("grid", "name", "arguments"), _ENCODINGS)
def test_a_resampled_decode_is_found_between_two_samples(
    layers: dict[str, ResampledEvidence], encode: Encode, grid: str, name: str, arguments: tuple[str, ...]
) -> None:
    """Guards each codec end to end: cut 1,001 samples later at 48 kHz, its frames are 919.67 earlier at 44.1."""
    layer = layers[grid]
    decoded = encode(name, *arguments, shift=_TRIM)
    samples, cut = _delivered(decoded), _delivered(decoded, trim=1_001)
    z, offset = best_offset(layer, samples)
    assert z > _FOUND
    assert _followed(layer, samples, offset) > _FOLLOWED
    later, moved = best_offset(layer, cut)
    assert later > _FOUND
    assert _followed(layer, cut, moved) > _FOLLOWED
    apart = (offset - moved - 1_001 * 147 / 160 * PHASES_A_SAMPLE) % layer.offsets
    assert min(apart, layer.offsets - apart) <= 2.0


def test_originals_and_silence_show_nothing(
    layers: dict[str, ResampledEvidence], untouched: NDArray[np.float32]
) -> None:
    """Guards the restraint: an original that was resampled is no decode, and silence has no angle."""
    original, silence = _delivered(untouched), np.zeros((1, OtherRate.length(SEGMENT_SAMPLES), 2), np.float32)
    for layer in layers.values():
        z, offset = best_offset(layer, original)
        assert z < _CHANCE
        assert _followed(layer, original, offset) < _CHANCE
    quiet = layers["ac3_resampled"]
    assert abs(best_offset(quiet, silence)[0]) < 1.0
    assert np.isfinite(_followed(quiet, silence, 0))


def test_it_is_rebuilt_from_its_configuration(layers: dict[str, ResampledEvidence]) -> None:
    """Guards the saved detector: it must count the same after loading."""
    layer = layers["ac3_resampled"]
    again = ResampledEvidence.from_config(layer.get_config())
    samples = np.random.default_rng(3).uniform(-0.1, 0.1, (1, 32_768, 2)).astype(np.float32)
    np.testing.assert_array_equal(_array(again(samples)), _array(layer(samples)))
