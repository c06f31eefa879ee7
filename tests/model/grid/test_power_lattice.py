"""Lattices of known steps: on lines made by hand, and on a sparse recording that leaves no holes."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.evidence import HALVES, band_matrix
from model.grid.grids import evidence_layers
from model.grid.power_lattice import AACLatticeEvidence, MP3LatticeEvidence, PowerLattice
from tests.model.grid.conftest import Encode, best_offset, followed_there_and_beside

_LAYERS = (MP3LatticeEvidence(HALVES), AACLatticeEvidence(HALVES))
_SHIFT = 20_000  # samples, to where a segment is cut
_FULL = 36.0  # what a band counts at most
_CHANCE = 9.0  # on average; the best of forty steps is off by some 2.2 standard deviations


def _counts(layer: PowerLattice, lines: NDArray[np.float64], level: float | None = None) -> NDArray[np.float32]:
    """What frames (frames, lines) count in each band: (frames, bands)."""
    bands = band_matrix(layer.positions(), layer.band_edges)
    own = np.sqrt(np.mean(lines**2)) if level is None else level
    levels = np.full((1, lines.shape[1]), own, np.float32)
    counts = layer.band_counts(lines.astype(np.float32), levels, None, bands)[0]
    return np.asarray(keras.ops.convert_to_numpy(counts))


def _wide(layer: PowerLattice) -> NDArray[np.bool_]:
    """Which bands have lines enough to be certain of."""
    inside: NDArray[np.bool_] = band_matrix(layer.positions(), layer.band_edges).sum(axis=0) >= 18
    return inside


def _coded(layer: PowerLattice, exponent: int, seed: int = 1, largest: int = 40) -> NDArray[np.float64]:
    """Frames as a decoder leaves them, rounding noise and all: eight frames of the layer's lines."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-largest, largest + 1, (8, layer.positions().size))
    values = np.sign(whole) * np.abs(whole) ** (4.0 / 3.0) * layer.unit * 2.0 ** (exponent / 4.0)
    return np.asarray(values + 0.29 * rng.standard_normal(whole.shape))


@pytest.mark.parametrize("layer", _LAYERS, ids=["mp3", "aac"])
@pytest.mark.parametrize("exponent", [4, 7, 18, 33])
def test_every_step_of_the_codec_is_found(layer: PowerLattice, exponent: int) -> None:
    """Guards the unit and the number of steps: whatever its step, a quantised band counts in full."""
    assert _wide(layer).any()
    assert _counts(layer, _coded(layer, exponent))[:, _wide(layer)].min() > 0.8 * _FULL


@pytest.mark.parametrize("layer", _LAYERS, ids=["mp3", "aac"])
def test_what_was_not_quantised_counts_like_chance(layer: PowerLattice) -> None:
    """Guards true recordings: the best of forty tries is no lattice, of noise nor of a decode at another level."""
    rng = np.random.default_rng(2)
    noise = 500.0 * rng.standard_normal((64, layer.positions().size))
    assert _counts(layer, noise)[:, _wide(layer)].mean() < _CHANCE
    assert _counts(layer, 0.93 * _coded(layer, 18))[:, _wide(layer)].mean() < _CHANCE


@pytest.mark.parametrize("layer", _LAYERS, ids=["mp3", "aac"])
def test_holes_are_no_lattice(layer: PowerLattice) -> None:
    """Guards drums and fades: where everything was quantised to zero, or is silent, nothing is told."""
    rng = np.random.default_rng(3)
    rounding = 0.29 * rng.standard_normal((8, layer.positions().size))
    assert _counts(layer, rounding, level=100.0).max() < 1.0
    assert _counts(layer, np.zeros_like(rounding), level=0.0).max() == 0.0


@pytest.mark.parametrize("layer", _LAYERS, ids=["mp3", "aac"])
def test_steps_finer_than_the_rounding_tell_nothing(layer: PowerLattice) -> None:
    """Guards quiet music: a lattice that rounding to 16 bit has filled must not look like one by its zeros."""
    fine = _coded(layer, -12 if layer.unit > 1.0 else -8, largest=3)
    assert _counts(layer, fine)[:, _wide(layer)].mean() < _CHANCE


@pytest.mark.parametrize(
    ("name", "arguments", "codec"),
    [("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3"), ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac")],
)
def test_dull_decodes_are_found_by_their_lattice(
    dull: NDArray[np.int16], encode_dull: Encode, name: str, arguments: tuple[str, ...], codec: str
) -> None:
    """Guards music without treble, which leaves few holes: searched, followed, and nowhere in the truth."""
    lattice = evidence_layers()[f"{codec}_lattice"]
    true = dull[None, _SHIFT : _SHIFT + SEGMENT_SAMPLES].astype(np.float32) / 32_768.0
    decoded = encode_dull(name, *arguments, shift=_SHIFT)
    found, offset = best_offset(lattice, decoded)
    assert found > 12.0
    assert best_offset(lattice, true)[0] < 6.0
    there, beside = followed_there_and_beside(lattice, decoded, offset, 7)
    assert there.min() > 15.0
    assert np.abs(beside).max() < 5.0
