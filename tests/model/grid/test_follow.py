"""All frames at one offset, on real encodings: far out at the codec's own, nothing beside it nor in an original."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.combine import FOLLOWED
from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.follow import STATISTICS, FollowedFrames
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS, RESAMPLED
from model.grid.other_rate import OtherRate
from model.grid.statistics import OffsetScores
from tests.model.grid.conftest import Encode

_FOUND = 15.0  # standard deviations, of one statistic in each half
_CHANCE = 5.0
_EXACT = 0
_HALF = SEGMENT_SAMPLES // 2

# name, ffmpeg arguments, grid, delivered rate
_ENCODINGS = [
    ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac", 44_100),
    ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3", 44_100),
    ("a.m4a", ("-c:a", "aac", "-b:a", "256k"), "aac_lattice", 44_100),
    ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3_lattice", 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3", 44_100),
    ("a.ac3", ("-c:a", "ac3", "-b:a", "384k"), "ac3_lattice", 44_100),
    ("a.mp2", ("-c:a", "mp2", "-b:a", "256k"), "mp2", 44_100),
    ("a.ogg", ("-c:a", "libvorbis", "-q:a", "6"), "vorbis", 44_100),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_48k", 48_000),
    ("b.opus", ("-c:a", "libopus", "-b:a", "160k"), "opus_44k1", 44_100),
    ("a.wma", ("-c:a", "wmav2", "-b:a", "192k"), "wma", 44_100),
]


@pytest.fixture(scope="module")
def layers() -> dict[str, OffsetEvidence]:
    """All grids; the search here only has to find the offset of encodings that are no weak ones."""
    return evidence_layers(0.25)


def _true_offset(layer: OffsetEvidence, samples: NDArray[np.float32]) -> int:
    """The frame offset that the search finds, by its weaker half."""
    scores = np.asarray(keras.ops.convert_to_numpy(OffsetScores()(layer(samples))))[0]
    return int(scores.reshape(layer.searched_statistics(), HALVES, layer.offsets)[_EXACT].min(axis=0).argmax())


def _deviations(frames: object) -> NDArray[np.float64]:
    """(..., 2) sums and variances to standard deviations (...); 0 where there is no such statistic."""
    sums = np.asarray(keras.ops.convert_to_numpy(frames), dtype=np.float64)
    assert (sums[..., 1] >= 0).all()
    return np.asarray(sums[..., 0] / np.sqrt(np.maximum(sums[..., 1], 1e-9)))


def _follow(
    layer: OffsetEvidence, samples: NDArray[np.float32], offsets: list[int], effort: float = 1.0
) -> NDArray[np.float64]:
    """One segment (1, n, 2) at some offsets: (offsets, STATISTICS, HALVES)."""
    wrapped = np.array(offsets, np.int32) % layer.offsets
    return _deviations(_answer(layer, np.repeat(samples, len(offsets), axis=0), wrapped, effort))


def _answer(
    layer: OffsetEvidence, samples: NDArray[np.float32], offsets: NDArray[np.int32], effort: float = 1.0
) -> NDArray[np.float32]:
    """Sums and variances; as a graph where operation by operation takes minutes."""
    follow = FollowedFrames(layer, effort)
    if layer.rate_hz is None:
        return np.asarray(follow(samples, offsets))
    cut, at = keras.Input((SEGMENT_SAMPLES, 2)), keras.Input((), dtype="int32")
    answer: NDArray[np.float32] = keras.Model([cut, at], follow(cut, at)).predict([samples, offsets], verbose=0)
    return answer


@pytest.mark.parametrize(("name", "arguments", "grid", "rate_hz"), _ENCODINGS)
def test_a_decode_stands_out_at_its_own_offset_and_nowhere_else(
    layers: dict[str, OffsetEvidence], encode: Encode, name: str, arguments: tuple[str, ...], grid: str, rate_hz: int
) -> None:
    """Guards each family end to end, in both halves: to the sample, or another offset would share its evidence."""
    samples = encode(name, *arguments, shift=3_000, rate_hz=rate_hz)
    there = _true_offset(layers[grid], samples)
    sample = layers[grid].fineness
    found, *beside = _follow(layers[grid], samples, [there + shift * sample for shift in (0, 1, -1, 10, 37)])
    assert found[_EXACT].min() > _FOUND
    assert np.max(beside) < _CHANCE
    assert (layers[grid].statistics == STATISTICS) == (found[1:].min() > _FOUND / 2)


@pytest.mark.parametrize(
    ("name", "arguments", "grid", "other"),
    [
        ("a.m4a", ("-c:a", "aac", "-b:a", "128k"), "aac_short_sine", "aac_short"),
        ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), "mp3_short", "mp3"),
        ("a.ogg", ("-c:a", "libvorbis", "-q:a", "6"), "vorbis_short", "aac_short"),
    ],
)
def test_short_blocks_stand_out_in_drums(
    layers: dict[str, OffsetEvidence],
    encode_drums: Encode,
    name: str,
    arguments: tuple[str, ...],
    grid: str,
    other: str,
) -> None:
    """Guards drum loops, where long blocks are rare: found in each half, and best through the encoder's own window."""
    samples = encode_drums(name, *arguments, shift=3_000)
    there = _true_offset(layers[grid], samples)
    found, *beside = _follow(layers[grid], samples, [there, there + 1, there + 37])[:, _EXACT]
    assert found.min() > _FOUND
    assert np.max(beside) < _CHANCE
    assert _follow(layers[other], samples, [there])[0, _EXACT].max() < _CHANCE


@pytest.mark.parametrize("grid", np.array(GRIDS)[FOLLOWED])
def test_an_original_stands_out_nowhere(
    layers: dict[str, OffsetEvidence], untouched: NDArray[np.float32], grid: str
) -> None:
    """Guards the restraint, and the unit: at any offset of any grid content scores like chance, of unit spread."""
    offsets = np.random.default_rng(1).integers(0, layers[grid].offsets, 6).tolist()
    found = _follow(layers[grid], untouched, offsets)[:, : layers[grid].statistics]
    assert np.abs(found).max() < _CHANCE
    assert 0.4 < np.sqrt(np.mean(found**2)) < 1.8


def test_each_half_speaks_for_itself(
    layers: dict[str, OffsetEvidence], encode: Encode, untouched: NDArray[np.float32]
) -> None:
    """Guards the halves: what only one says is no segment's, so the other must not hear of it."""
    decoded = encode("a.m4a", "-c:a", "aac", "-b:a", "256k", shift=3_000)
    there = _true_offset(layers["aac"], decoded)
    for first, second in ((decoded, untouched), (untouched, decoded)):
        samples = np.concatenate([first[:, :_HALF], second[:, _HALF:]], axis=1)
        halves = _follow(layers["aac"], samples, [there])[0, _EXACT]
        assert ((halves > _FOUND) == [first is decoded, second is decoded]).all()
        assert halves.min() < _CHANCE


def test_each_row_has_its_own_segment_and_offset(
    layers: dict[str, OffsetEvidence], encode: Encode, untouched: NDArray[np.float32]
) -> None:
    """Guards the batch: a mix-up would judge one track by another's audio; a segment cut later has its grid earlier."""
    arguments = ("-c:a", "libmp3lame", "-b:a", "320k")
    first, later = (encode("a.mp3", *arguments, shift=shift) for shift in (3_000, 3_137))
    layer = layers["mp3"]
    there = _true_offset(layer, first)
    moved = (there - 137) % layer.offsets
    samples = np.concatenate([first, untouched, later, first])
    found = _deviations(FollowedFrames(layer)(samples, np.array([there, there, moved, moved], np.int32)))
    assert ((found[:, _EXACT].min(axis=1) > _FOUND) == [True, False, True, False]).all()


def test_less_effort_reads_fewer_frames_but_never_none(
    layers: dict[str, OffsetEvidence], encode: Encode, untouched: NDArray[np.float32]
) -> None:
    """Guards tests and trials at a fraction of the cost: both halves still speak, of the segment's beginning."""
    decoded = encode("a.ogg", "-c:a", "libvorbis", "-q:a", "6", shift=3_000)
    layer = layers["vorbis"]
    there = _true_offset(layer, decoded)
    begins_so = np.concatenate([decoded[:, :_HALF], untouched[:, _HALF:]], axis=1)
    full, half, least = (_follow(layer, begins_so, [there], effort)[0, _EXACT] for effort in (1.0, 0.3, 0.0))
    assert full[1] < _CHANCE
    assert half.min() > _FOUND  # nothing beyond a third of the segment was read
    assert 0.0 < least.max() < half.max()
    assert least.min() > 0.0


@pytest.mark.parametrize(
    "grid", ["aac", "aac_lattice", "ac3_lattice", "mp2", "mp3_lattice", "opus_48k_lattice", "vorbis_lattice"]
)
def test_silence_stays_finite(layers: dict[str, OffsetEvidence], grid: str) -> None:
    """Guards the divisions: digital silence differs from nothing, and says nothing."""
    silence = np.zeros((1, SEGMENT_SAMPLES, 2), np.float32)
    sums = _answer(layers[grid], silence, np.zeros(1, np.int32))
    assert np.isfinite(sums).all()
    assert sums[..., 0].tolist() == np.zeros((1, STATISTICS, HALVES)).tolist()
    assert (sums[:, : layers[grid].statistics, :, 1] > 0).all()


@pytest.mark.parametrize(
    "grid",
    [
        *("aac", "aac_lattice", "ac3_lattice", "mp2", "mp3", "mp3_lattice", "opus_44k1", "opus_48k", "vorbis_lattice"),
        "mp3_resampled",
    ],
)
def test_the_configuration_holds_everything(
    layers: dict[str, OffsetEvidence], untouched: NDArray[np.float32], grid: str
) -> None:
    """Guards serialisation: a layer made from another's configuration, as Keras does on loading, answers the same."""
    layer = FollowedFrames(layers[grid], effort=0.1)
    again = FollowedFrames.from_config(layer.get_config())
    offsets = np.array([layers[grid].offsets - 1], np.int32)
    assert again.effort == 0.1
    np.testing.assert_allclose(again(untouched, offsets), layer(untouched, offsets), rtol=1e-5, atol=1e-6)


def test_the_network_follows_each_grid_at_its_own_offset(
    follower: keras.Model, layers: dict[str, OffsetEvidence], untouched: NDArray[np.float32]
) -> None:
    """Guards the order of the grids, and that the released network reads every frame."""
    offsets = np.array([[7 + index % 20 for index in range(len(GRIDS))]], np.int32)
    cut = {"followed": untouched, "offsets": offsets, "rate_hz": np.array([44_100], np.int32)}
    frames = np.asarray(follower(cut, training=False)["frames"])
    assert frames.shape == (1, len(GRIDS), STATISTICS, HALVES, 2)
    other = OtherRate()(untouched, cut["rate_hz"])
    for grid in ("aac", "mp2", "opus_44k1", "wma", "ac3_resampled"):
        index = GRIDS.index(grid)
        samples = other if grid in RESAMPLED else untouched
        alone = np.asarray(FollowedFrames(layers[grid])(samples, offsets[:, index]))
        np.testing.assert_allclose(frames[:, index], alone, rtol=1e-4, atol=1e-3, err_msg=grid)
    assert not frames[:, ~FOLLOWED].any()
    assert frames[:, FOLLOWED & (np.array(GRIDS) != "opus_48k_lattice")].any(axis=(0, 2, 3, 4)).all()


@pytest.mark.parametrize("grid", ["aac", "mp2", "opus_44k1", "opus_48k_lattice", "vorbis_lattice"])
def test_xla_compiles_one_program_for_all_offsets(
    layers: dict[str, OffsetEvidence], untouched: NDArray[np.float32], grid: str
) -> None:
    """Guards the worker: with a program an offset it compiled for minutes at every track that it followed."""
    followed = FollowedFrames(layers[grid], effort=0.1)
    run = tf.function(followed.call, jit_compile=True, autograph=False)
    rates = tf.constant([layers[grid].rate_hz or 44_100])
    programs = {run.experimental_get_compiler_ir(untouched, tf.constant([at]), rates)("hlo") for at in (0, 5, 30)}
    assert len(programs) == 1
