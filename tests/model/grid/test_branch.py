"""The grid on real encodings: found where it is, absent where there is none."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.branch import build_grid_branch, evidence_layers, grid_features, grid_statistics
from model.grid.names import GRIDS
from model.grid.statistics import FEATURES, PROFILES, BestOffset, OffsetScores, score_of

_FOUND = 12.0  # originals stay below 6

# name, ffmpeg arguments, grid, samples after which it repeats, delivered rate
_ENCODINGS = [
    ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac", 1_024, 44_100),
    ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3", 576, 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3", 256, 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3_lattice", 256, 44_100),
    ("a.mp2", ("-c:a", "mp2", "-b:a", "256k"), "mp2", 32, 44_100),
    ("a.ogg", ("-c:a", "libvorbis", "-q:a", "6"), "vorbis", 1_024, 44_100),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_48k", 960, 48_000),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_44k1", 882, 44_100),
    ("a.wma", ("-c:a", "wmav2", "-b:a", "192k"), "wma", 2_048, 44_100),
]


def _best(grid: str, samples: NDArray[np.float32]) -> tuple[float, int]:
    """Score and offset of one grid alone."""
    evidence = evidence_layers()[grid](samples)
    scores = OffsetScores()(evidence)
    features = np.asarray(keras.ops.convert_to_numpy(BestOffset()([scores, evidence])))
    profile = np.asarray(keras.ops.convert_to_numpy(scores))[0, :, PROFILES.index("all")]
    return float(score_of(features[0, 0])), int(profile.argmax())


@pytest.mark.parametrize(("name", "arguments", "grid", "period", "rate_hz"), _ENCODINGS)
def test_the_grid_of_a_decode_is_found_and_moves_with_it(
    encode: object, name: str, arguments: tuple[str, ...], grid: str, period: int, rate_hz: int
) -> None:
    """Guards each family end to end: cut 137 samples later, the same grid is 137 earlier."""
    assert callable(encode)
    first, offset = _best(grid, encode(name, *arguments, shift=3_000, rate_hz=rate_hz))
    second, moved = _best(grid, encode(name, *arguments, shift=3_137, rate_hz=rate_hz))
    assert first > _FOUND
    assert second > _FOUND
    assert (offset - moved) % period == 137 % period


def test_an_original_shows_no_grid(untouched: NDArray[np.float32]) -> None:
    """Guards the restraint: content must not move any family's best offset far out."""
    found = grid_features(untouched)
    assert found.statistics.shape == (1, len(GRIDS), len(FEATURES))
    assert found.offsets.shape == (1, len(GRIDS))
    assert float(score_of(found.statistics[..., 0]).max()) < 6.0


def test_silence_and_clipping_stay_finite() -> None:
    """Guards the divisions: digital silence has no spread, a clipped square no quiet bin."""
    silence = np.zeros((1, 32_768, 2), np.float32)
    square = np.sign(np.sin(np.arange(32_768) * 0.05)).astype(np.float32)[None, :, None] * np.ones(2, np.float32)
    for samples in (silence, square):
        evidence = evidence_layers()["mp3"](samples)
        scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(evidence)))
        assert np.isfinite(scores).all()
    assert np.abs(np.asarray(keras.ops.convert_to_numpy(OffsetScores()(evidence_layers()["ac3"](silence))))).max() < 1.0


def test_features_are_finite_and_only_the_head_learns() -> None:
    """Guards the cost of training: the statistics hold no weights and can be tabulated."""
    samples = keras.Input((131_072, 2), name="samples")
    statistics, _ = grid_statistics(samples)
    assert keras.Model(samples, statistics).count_params() == 0
    assert keras.Model(samples, build_grid_branch(samples, 8)).output_shape == (None, 8)


def test_survives_the_way_to_disk(tmp_path: Path, untouched: NDArray[np.float32]) -> None:
    """Guards serialisation: a saved branch gives the same features."""
    samples = keras.Input((32_768, 2), name="samples")
    rows = []
    for grid in ("ac3_lattice", "mp3"):
        evidence = evidence_layers()[grid](samples)
        rows.append(BestOffset()([OffsetScores()(evidence), evidence]))
    model = keras.Model(samples, keras.layers.Dense(4)(keras.layers.Concatenate()(rows)))
    model.save(tmp_path / "branch.keras")
    again = keras.saving.load_model(tmp_path / "branch.keras")
    cut = untouched[:, :32_768]
    np.testing.assert_allclose(again(cut), model(cut), rtol=1e-5, atol=1e-5)
