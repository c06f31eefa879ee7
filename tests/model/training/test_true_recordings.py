"""Untouched clips: what is cut, what is joined, and that nothing else happens to it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.training.bench import load_bench
from model.training.sources import collect
from model.training.true_recordings import build_true_recordings

LENGTH = 4 * SEGMENT_SAMPLES


def _noise(samples: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-20_000, 20_000, (samples, 2), dtype=np.int16)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A long file, a group of short ones, and one at a rate that is not analysed as it is."""
    folder = tmp_path / "audio"
    for group in ("long", "short", "odd"):
        (folder / group).mkdir(parents=True)
    soundfile.write(folder / "long" / "song.flac", _noise(LENGTH + 5_000, 1), 44_100, subtype="PCM_16")
    for number in range(5):
        soundfile.write(folder / "short" / f"{number}.wav", _noise(LENGTH // 4, number), 48_000, subtype="PCM_24")
    soundfile.write(folder / "odd" / "song.wav", _noise(LENGTH + 1, 2), 96_000, subtype="PCM_16")
    return folder


def test_a_long_file_is_cut_and_not_changed(audio: Path, tmp_path: Path) -> None:
    """A rejected clip must be the recording's own doing: its samples stand in the file as they are."""
    build_true_recordings(collect([audio], keep_cliffs=True).sources, tmp_path / "bench", clips=2, seed=1)
    (track,) = [one for one in load_bench(tmp_path / "bench", "test") if one.track.groups == ("truth-long",)]
    clip = track.samples(track.items[0])
    whole = _noise(LENGTH + 5_000, 1)
    start = int(np.flatnonzero((whole == clip[0]).all(axis=1))[0])
    assert track.track.kind == "recording"
    np.testing.assert_array_equal(clip, whole[start : start + LENGTH])


def test_short_files_are_joined_once_each_and_keep_their_depth(audio: Path, tmp_path: Path) -> None:
    """Five quarters make one clip; a second would have to repeat a file."""
    build_true_recordings(collect([audio], keep_cliffs=True).sources, tmp_path / "bench", clips=2, seed=1)
    (track,) = [one for one in load_bench(tmp_path / "bench", "test") if one.track.groups == ("truth-short",)]
    clip = track.samples(track.items[0])
    assert clip.shape == (LENGTH, 2)
    assert np.int32 == clip.dtype
    assert track.track.kind == "joined"
    quarters = {quarter.tobytes() for quarter in clip.reshape(4, -1, 2)}
    assert len(quarters) == 4


def test_other_rates_are_left_out(audio: Path, tmp_path: Path) -> None:
    """A bench item is read at its own rate; what the worker would resample is no untouched clip."""
    count = build_true_recordings(collect([audio], keep_cliffs=True).sources, tmp_path / "bench", clips=9, seed=1)
    assert count == 2


def test_the_same_seed_cuts_the_same_clips(audio: Path, tmp_path: Path) -> None:
    """A figure must be measurable again."""
    sources = collect([audio], keep_cliffs=True).sources
    found = []
    for name in ("one", "two"):
        build_true_recordings(sources, tmp_path / name, clips=2, seed=3)
        found.append([one.samples(one.items[0]).tobytes() for one in load_bench(tmp_path / name, "test")])
    assert found[0] == found[1]


def test_clips_to_calibrate_on_are_no_test_clips(audio: Path, tmp_path: Path) -> None:
    """Guards the splits: what a calibration may read must never be found where an evaluation looks."""
    sources = collect([audio], keep_cliffs=True).sources
    assert build_true_recordings(sources, tmp_path / "bench", clips=1, seed=1, split="validation") == 2
    assert not load_bench(tmp_path / "bench", "test")
    clips = load_bench(tmp_path / "bench", "validation")
    assert [clip.track.split for clip in clips] == ["validation"] * 2
    assert all(clip.track.id.startswith("validation-") for clip in clips)


def test_floats_become_24_bit(tmp_path: Path) -> None:
    """Guards what is judged: libsndfile reads floats as integers of 0 and 1, and a loop was a clip of silence."""
    (tmp_path / "audio" / "band").mkdir(parents=True)
    floats = np.random.default_rng(4).uniform(-1.2, 1.2, (LENGTH, 2)).astype(np.float32)
    soundfile.write(tmp_path / "audio" / "band" / "take.wav", floats, 44_100, subtype="FLOAT")
    build_true_recordings(collect([tmp_path / "audio"], keep_cliffs=True).sources, tmp_path / "bench", clips=1, seed=1)
    (track,) = load_bench(tmp_path / "bench", "test")
    clip = track.samples(track.items[0])
    assert clip.dtype == np.int32
    assert not (clip & 0xFF).any()
    np.testing.assert_allclose(clip / 2.0**31, np.clip(floats, -1.0, 1.0), atol=2.0**-23)
