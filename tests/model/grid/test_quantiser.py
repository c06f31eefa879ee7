"""The proof that owes nothing to holes: what was not quantised to zero lies on a lattice."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS
from model.grid.quantiser import PROVEN, band_scores, lattice_of, look_for_lattice
from model.grid.statistics import OffsetScores
from model.grid.track_search import TrackSearch
from tests.model.grid.conftest import Encode

_CHANCE = 5.0  # standard deviations
_FRAMES = 20  # tell enough here, and save seconds


def _true_offset(layer: OffsetEvidence, samples: NDArray[np.float32]) -> int:
    """The frame offset that the search finds, by its weaker half."""
    scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(samples))))[0]
    return int(scores.reshape(layer.statistics, HALVES, layer.offsets)[0].min(axis=0).argmax())


def _quantised(step: float) -> NDArray[np.float64]:
    """Return frames of coefficients as MP3 and AAC decode them: (200, 18)."""
    rng = np.random.default_rng(4)
    levels = np.round(rng.laplace(size=(200, 18)) * 3.0)
    return np.asarray(np.sign(levels) * np.abs(levels) ** (4.0 / 3.0) * step)


def test_a_lattice_scores_the_root_of_what_is_not_zero() -> None:
    """Guards the scale: whatever the step, every coefficient that was not quantised to zero adds its part."""
    for step in (7.0, 31.3):
        lines = _quantised(step)
        number = (lines != 0).sum(axis=1)
        told = np.isfinite(scores := band_scores(lines))
        assert told.mean() > 0.9
        assert np.median(scores[told] / np.sqrt(number[told])) > 0.95


def test_holes_count_for_nothing() -> None:
    """Guards the independence: the same coefficients with their zeros filled, or with more zeros, prove as much."""
    lines = _quantised(20.0)
    filled = np.where(lines == 0, 0.3 * np.random.default_rng(0).standard_normal(lines.shape), lines)
    np.testing.assert_allclose(band_scores(filled), band_scores(lines), atol=1e-9)
    more = np.concatenate([lines, np.zeros_like(lines)], axis=1)
    np.testing.assert_allclose(band_scores(more), band_scores(lines), atol=1e-9)


def test_content_lies_on_no_lattice_and_rounding_hides_one() -> None:
    """Guards the restraint: Gaussian coefficients score like chance, steps below the rounding noise not at all."""
    content = np.random.default_rng(1).standard_normal((300, 18)) * 100.0
    assert np.nanmean(band_scores(content)) < 2.2
    assert np.isnan(band_scores(_quantised(0.02))).all()


@pytest.mark.parametrize(
    ("name", "arguments", "grid"),
    [
        ("l.mp3", ("-c:a", "libmp3lame", "-b:a", "192k"), "mp3"),
        ("l.m4a", ("-c:a", "aac", "-b:a", "192k"), "aac"),
    ],
)
def test_a_decode_is_proven_at_its_own_offset_and_nowhere_else(
    encode: Encode, untouched: NDArray[np.float32], name: str, arguments: tuple[str, ...], grid: str
) -> None:
    """Guards the proof end to end: kernels, scale and bands of both formats, on decodes and on an original."""
    layer = evidence_layers(0.25)[grid]
    samples = encode(name, *arguments, shift=3_000)
    there = _true_offset(layer, samples)
    assert look_for_lattice(samples[0], grid, there, _FRAMES) > PROVEN
    assert look_for_lattice(samples[0], grid, there + 50, _FRAMES) < _CHANCE
    assert look_for_lattice(untouched[0], grid, there, _FRAMES) < _CHANCE


def test_only_grids_with_such_a_quantiser_are_looked_at() -> None:
    """Guards the report: no proof is claimed for codecs that quantise otherwise."""
    table = np.zeros((len(GRIDS), 4))
    table[GRIDS.index("vorbis"), 0] = 40.0
    search = TrackSearch(table, (0,), (0,), np.array([40.0]), 44_100)
    assert lattice_of(np.zeros((1, 10, 2), np.float32), search) is None
