"""Vorbis' floors: on lines made by hand, and on a sparse recording that leaves no holes."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.constants import VORBIS_HOP, VORBIS_SHORT_HOP
from model.grid.evidence import HALVES
from model.grid.grids import evidence_layers
from model.grid.vorbis_lattice import VorbisLatticeEvidence
from tests.model.grid.conftest import Encode, best_offset, followed_there_and_beside

_LAYER = VorbisLatticeEvidence(HALVES)
_POSTS = (23, 46, 65, 93, 130)
_Q10 = ("-c:a", "libvorbis", "-q:a", "10")
_SHIFT = 20_000  # samples, to where a segment is cut


def _floor(heights: tuple[int, ...]) -> NDArray[np.float64]:
    """A floor in 16-bit steps of an orthonormal transform, drawn as the specification says (9.2.7, render_line)."""
    drawn = np.zeros(VORBIS_HOP, np.int64)
    for x0, x1, y0, y1 in zip(_POSTS[:-1], _POSTS[1:], heights[:-1], heights[1:], strict=True):
        rise, run = y1 - y0, x1 - x0
        base = abs(rise) // run * (1 if rise >= 0 else -1)
        left, error, y = abs(rise) - abs(base) * run, 0, y0
        for x in range(x0, x1):
            drawn[x] = y
            error += left
            y += base
            if error >= run:
                error -= run
                y += 1 if rise >= 0 else -1
    # The table: 256 levels of 140 dB down from full scale.  The inverse transform has no scale of its own.
    return np.asarray(10.0 ** (7.0 * ((drawn + 1) / 256.0 - 1.0)) * 32_768.0 * np.sqrt(VORBIS_HOP / 2))


def _coded(heights: tuple[int, ...], seed: int = 1, largest: int = 30) -> NDArray[np.float32]:
    """Eight frames as a decoder leaves them, rounding noise and all, in the order in which the layer reads lines."""
    rng = np.random.default_rng(seed)
    lines = np.round(_LAYER.positions() * VORBIS_HOP - 0.5).astype(int)
    whole = rng.integers(-largest, largest + 1, (8, VORBIS_HOP))
    values = whole * _floor(heights) + 0.29 * rng.standard_normal(whole.shape)
    return values[:, lines].astype(np.float32)


def _fits(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    level = np.sqrt(np.mean(frames**2, axis=0, keepdims=True))
    return np.asarray(keras.ops.convert_to_numpy(_LAYER.fits(frames, level)))


@pytest.mark.parametrize(
    "heights", [(90, 90, 90, 90, 90), (76, 88, 80, 76, 74), (130, 112, 118, 100, 88), (74, 72, 84, 76, 76)]
)
def test_a_straight_floor_is_found_wherever_it_lies(heights: tuple[int, ...]) -> None:
    """Guards unit, table and drawing: each of 107 lines counts up to 1.3 at whole numbers of the floor as it is drawn.

    An index beside it, half of a piece's lines would still lie on one that rises by two: 60.
    """
    assert _fits(_coded(heights)).min() > 105.0


def test_what_was_not_quantised_fits_no_floor() -> None:
    """Guards true recordings: the best of hundreds of floors is none, of noise nor of a decode at another level."""
    rng = np.random.default_rng(2)
    noise = 500.0 * rng.standard_normal((64, _LAYER.positions().size))
    assert _fits(noise.astype(np.float32)).max() < 25.0
    assert _fits(np.float32(0.97) * _coded((90, 90, 90, 90, 90))).max() < 25.0


def test_holes_and_floors_below_the_rounding_tell_nothing() -> None:
    """Guards fades and quiet music: zeros are no whole numbers, and what rounding has filled is no lattice."""
    rounding = (0.29 * np.random.default_rng(3).standard_normal((8, _LAYER.positions().size))).astype(np.float32)
    holes = np.asarray(_LAYER.fits(rounding, np.full((1, rounding.shape[1]), 100.0, np.float32)))
    assert holes.max() < 6.0
    assert _fits(np.zeros_like(rounding)).max() == 0.0
    assert _fits(_coded((20, 20, 20, 20, 20), largest=200)).max() < 25.0


@pytest.mark.parametrize(("name", "rate_hz"), [("a.ogg", 44_100), ("b.ogg", 48_000)])
def test_dull_decodes_are_found_by_their_floor(
    dull: NDArray[np.int16], encode_dull: Encode, name: str, rate_hz: int
) -> None:
    """Guards solo instruments at q10: searched, followed, and nowhere in the truth."""
    layer = evidence_layers()["vorbis_lattice"]
    assert isinstance(layer, VorbisLatticeEvidence)
    true = dull[None, _SHIFT : _SHIFT + SEGMENT_SAMPLES].astype(np.float32) / 32_768.0
    at_rate = () if rate_hz == 44_100 else ("-ar", str(rate_hz))
    decoded = encode_dull(name, *at_rate, *_Q10, shift=_SHIFT, rate_hz=rate_hz)
    later = encode_dull(name, *at_rate, *_Q10, shift=_SHIFT + 1_061, rate_hz=rate_hz)
    found, offset = best_offset(layer, decoded)
    assert found > 12.0
    assert (offset - best_offset(layer, later)[1]) % VORBIS_SHORT_HOP == 1_061 % VORBIS_SHORT_HOP
    assert best_offset(layer, true)[0] < 6.0
    there, beside = followed_there_and_beside(layer, decoded, offset, 64)
    assert there.min() > 15.0
    assert np.abs(beside).max() < 5.0
