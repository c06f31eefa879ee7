"""SBC's lattices: on decodes of ffmpeg's encoder, on true audio, and on tones whose period its blocks divide."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import ANALYSIS_RATES_HZ, CLEAR_GRID_SCORE, SEGMENT_SAMPLES
from model.grid.combine import SCORES, unpack
from model.grid.names import GRIDS
from model.grid.sbc import SBCEvidence
from model.grid.sbc_prototype import analysis_matrix
from model.grid.statistics import OffsetScores
from model.grid.track_search import TrackSearch, search_track
from model.training.bench import OTHER
from model.training.codecs import Encoding
from model.training.other_encoders import other_round_trip

_ENCODING = Encoding(OTHER, "sbc", "328", 328.0)
_SBC = GRIDS.index("sbc")
_WEAK = 7.0  # standard deviations; at such scores of grids the detector begins to doubt


@pytest.fixture(scope="module")
def layer() -> SBCEvidence:
    """Return the released search's layer."""
    return SBCEvidence(2)


def _search(layer: SBCEvidence, pcm: NDArray[np.generic], rate_hz: int = 44_100) -> TrackSearch:
    """Search two segments (2 * SEGMENT_SAMPLES, 2) of 16-bit samples as a track of nothing but SBC's grid."""
    segments = (pcm[: 2 * SEGMENT_SAMPLES] / 32_768.0).astype(np.float32).reshape(2, SEGMENT_SAMPLES, 2)
    scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(segments))))
    rows = np.zeros((2, SCORES))
    unpack(rows)["sbc"][:, 0] = scores

    def follow(index: int, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        del index
        return np.zeros((len(offsets), len(GRIDS), 2, 2, 2))

    return search_track(lambda index: rows[index], follow, (0, 1), (0, SEGMENT_SAMPLES), rate_hz, 2)


@pytest.fixture(scope="module")
def music() -> NDArray[np.int16]:
    """Return noise that falls with frequency over two segments and a margin, its sides apart."""
    noise = np.random.default_rng(11).standard_normal((2 * SEGMENT_SAMPLES + 4_096, 2))
    return np.asarray(np.round(2_000.0 * (noise + 0.9 * np.roll(noise, 1, axis=0))), dtype=np.int16)


def test_the_analysis_gives_back_what_a_decoder_was_given() -> None:
    """Guards the table and the phases: synthesis and analysis nearly reconstruct, as the standard's filters do."""
    analysis = analysis_matrix()
    pulse = np.zeros(400)
    pulse[200] = 1.0
    subbands = np.stack([np.convolve(pulse, analysis[::-1, band]) for band in range(8)])[:, ::8]
    stretched = np.zeros((8, 8 * subbands.shape[1]))
    stretched[:, ::8] = subbands
    # The standard's synthesis (A2DP, 12.8): the same prototype, the phase mirrored, eight times the gain.
    back = sum(np.convolve(stretched[band], 8.0 * analysis[:, band]) for band in range(8))
    assert np.abs(back).max() == pytest.approx(1.0, abs=0.01)
    assert (np.abs(back) > 0.01).sum() == 1


@pytest.mark.parametrize("rate_hz", ANALYSIS_RATES_HZ)
def test_a_decode_is_clear_without_being_followed(layer: SBCEvidence, music: NDArray[np.int16], rate_hz: int) -> None:
    """Guards the steps, and that the codec is named by its own grid."""
    decoded = other_round_trip(music, rate_hz, _ENCODING, Path("no modules"))
    found = _search(layer, decoded, rate_hz)
    assert found.best_grid == _SBC
    assert found.best_z >= CLEAR_GRID_SCORE
    assert not found.followed
    assert (found.segment_z > _WEAK).all()


def test_true_audio_is_not(layer: SBCEvidence, music: NDArray[np.int16]) -> None:
    """Guards true recordings."""
    assert _search(layer, music).table[_SBC, 0] < _WEAK / 2


@pytest.mark.parametrize("period", [8, 24, 32, 64])
def test_tones_whose_period_the_blocks_divide_are_not(layer: SBCEvidence, period: int) -> None:
    """Guards chip sounds: every block of such a tone is the same, and one phase of eight always suits some lattice.

    Followed, they stood at up to 792 standard deviations, which is why this grid is not.
    """
    phase = (np.arange(2 * SEGMENT_SAMPLES) % period) / period
    for shape in (
        2.0 * phase - 1.0,
        np.sign(0.5 - phase),
        np.sin(2.0 * np.pi * phase),
        4.0 * np.abs(phase - 0.5) - 1.0,
    ):
        for level in (0.9, 0.3, 0.05):
            tone = np.round(32_767.0 * level * np.stack([shape, shape], axis=1))
            assert _search(layer, tone).table[_SBC, 0] < _WEAK


def test_silence_scores_nothing(layer: SBCEvidence) -> None:
    """Guards digital silence and rounding noise: no step is so fine."""
    assert _search(layer, np.zeros((2 * SEGMENT_SAMPLES, 2))).table[_SBC, 0] == pytest.approx(0.0)
    noise = np.random.default_rng(4).integers(-1, 2, (2 * SEGMENT_SAMPLES, 2))
    assert _search(layer, noise).table[_SBC, 0] < _WEAK / 2
