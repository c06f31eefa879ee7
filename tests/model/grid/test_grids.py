"""Each grid alone, on real encodings: found where it is, and at the right offset."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS
from model.grid.statistics import OffsetScores
from tests.model.grid.conftest import Encode

_FOUND = 12.0  # originals stay below 6

# name, ffmpeg arguments, grid, samples after which it repeats, delivered rate
_ENCODINGS = [
    ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac", 1_024, 44_100),
    ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3", 576, 44_100),
    ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac_lattice", 1_024, 44_100),
    ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3_lattice", 576, 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3", 256, 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3_lattice", 256, 44_100),
    ("a.mp2", ("-c:a", "mp2", "-b:a", "256k"), "mp2", 32, 44_100),
    ("a.ogg", ("-c:a", "libvorbis", "-q:a", "6"), "vorbis", 1_024, 44_100),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_48k", 960, 48_000),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_44k1", 882, 44_100),
    ("a.wma", ("-c:a", "wmav2", "-b:a", "192k"), "wma", 2_048, 44_100),
    # HE-AAC's core: no encoder of it is at hand, but this is what its decoder brings up to the whole rate.
    ("h.m4a", ("-ar", "22050", "-c:a", "aac", "-b:a", "64k"), "aac_half", 2_048, 44_100),
]


@pytest.fixture(scope="module")
def layers() -> dict[str, OffsetEvidence]:
    """All grids, with half of their stretches: the encodings here are no weak ones."""
    return evidence_layers(0.5)


def _scores(layer: OffsetEvidence, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores of one grid alone, of the first segment: (statistics, HALVES, offsets)."""
    scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(samples))))[0]
    return scores.reshape(layer.searched_statistics(), HALVES, layer.offsets)


def _best(layer: OffsetEvidence, samples: NDArray[np.float32], statistic: int = 0) -> tuple[float, int]:
    """Score and offset of one grid, of the first segment, by its weaker half."""
    weaker = _scores(layer, samples)[statistic].min(axis=0)
    return float(weaker.max()), int(weaker.argmax())


@pytest.mark.parametrize(("name", "arguments", "grid", "period", "rate_hz"), _ENCODINGS)
def test_the_grid_of_a_decode_is_found_and_moves_with_it(
    layers: dict[str, OffsetEvidence],
    encode: Encode,
    name: str,
    arguments: tuple[str, ...],
    grid: str,
    period: int,
    rate_hz: int,
) -> None:
    """Guards each family end to end: cut 137 samples later, the same grid is 137 earlier."""
    first, offset = _best(layers[grid], encode(name, *arguments, shift=3_000, rate_hz=rate_hz))
    second, moved = _best(layers[grid], encode(name, *arguments, shift=3_137, rate_hz=rate_hz))
    assert first > _FOUND
    assert second > _FOUND
    assert (offset - moved) / layers[grid].fineness % period == 137 % period


@pytest.mark.parametrize(("name", "arguments", "grid"), [_ENCODINGS[0][:3], _ENCODINGS[1][:3]])
def test_a_decode_that_was_equalised_is_found_by_its_shallow_holes(
    encode: Encode,
    equalise: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    name: str,
    arguments: tuple[str, ...],
    grid: str,
) -> None:
    """Guards the second statistic: a mild equaliser fills AAC 256's and MP3 320's holes, yet they stay shallow."""
    layer = evidence_layers()[grid]
    decoded = encode(name, *arguments, shift=3_000)
    exact, offset = _best(layer, decoded, 0)
    deep, shallow = _scores(layer, equalise(decoded)).min(axis=1)
    assert exact > _FOUND
    assert shallow.max() > 10.0
    assert shallow.argmax() == offset
    assert shallow.max() > 2.0 * deep.max()


def test_silence_and_clipping_stay_finite(layers: dict[str, OffsetEvidence]) -> None:
    """Guards the divisions: digital silence has no spread, a clipped square no quiet bin."""
    silence = np.zeros((1, 32_768, 2), np.float32)
    square = np.sign(np.sin(np.arange(32_768) * 0.05)).astype(np.float32)[None, :, None] * np.ones(2, np.float32)
    for samples in (silence, square):
        assert np.isfinite(_scores(layers["mp3"], samples)).all()
    assert np.abs(_scores(layers["ac3"], silence)).max() < 1.0


def test_grids_come_in_the_order_of_their_names(layers: dict[str, OffsetEvidence]) -> None:
    """Guards the rows of the search: the worker reads them by ``GRIDS``."""
    assert tuple(layers) == GRIDS


def test_less_effort_searches_fewer_stretches_but_never_none(layers: dict[str, OffsetEvidence]) -> None:
    """Guards the rounding: each half keeps a stretch at least, and neither gets one more."""
    some = {grid: layer.stretches for grid, layer in evidence_layers(0.2).items()}
    for grid, stretches in some.items():
        assert HALVES <= stretches <= layers[grid].stretches
        assert stretches % HALVES == 0
    assert some["wma"] == HALVES
    assert some["vorbis_short"] == 6  # of 32
    assert layers["vorbis_short"].stretches == 16
