"""The trials of one track, with encoders that change nothing: the real ones are slow and may be missing."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.training import trials
from model.training.bench import BenchTrack, load_bench
from model.training.processing import CHAINS
from model.training.tracks import MARGIN_SAMPLES, Track
from model.training.trials import stored


def _unchanged(pcm: NDArray[np.int16], *_: Any, **__: Any) -> NDArray[np.int16]:
    return pcm


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BenchTrack:
    """One test track of one segment, with two more of its rate to be played after it."""
    tmp_path, monkeypatch = tmp_path_factory.mktemp("work"), pytest.MonkeyPatch()
    monkeypatch.setattr(trials, "round_trip", _unchanged)
    monkeypatch.setattr(trials, "ffmpeg_binaries", lambda: ("ffmpeg",))
    monkeypatch.setattr(trials.other_encoders, "other_round_trip", _unchanged)
    benches = []
    for index in range(3):
        samples = np.random.default_rng(index).standard_normal((SEGMENT_SAMPLES + 2 * MARGIN_SAMPLES, 2)) * 0.1
        path = tmp_path / f"{index}.flac"
        soundfile.write(path, samples, 44_100, subtype="PCM_24")
        track = Track(f"test-{index:04d}", "test", ("g",), "mix", (), 44_100, 1, str(path))
        benches.append(BenchTrack(track, (), tmp_path))
    one = trials._TrackTrials(benches[0], 0, benches[1:], tmp_path, 1)
    assert one.build({"lamejs": "node"}) == []
    monkeypatch.undo()
    return load_bench(tmp_path / "trials", "test")[0]


def test_a_test_track_gets_every_condition(built: BenchTrack) -> None:
    """Guards the counts of the report, and that an encoder that is missing is simply absent."""
    often = Counter(item.condition.split(":")[0] for item in built.items)
    assert often == {
        "original": 1,
        "processed": 4 * len(CHAINS),
        "hard": 6,
        "held-out": 13,
        "other-build": 1,
        "insert": 2,
    }
    assert "lamejs" not in {item.encoder for item in built.items}


def test_items_are_whole_segments_in_the_depth_they_claim(built: BenchTrack) -> None:
    """Guards segments_of: whole segments, 32 bit for the 24-bit chain alone."""
    for item in built.items:
        samples = built.samples(item)
        assert (len(samples) % SEGMENT_SAMPLES, samples.shape[1]) == (0, 2)
        assert samples.dtype == (np.int32 if item.condition == "processed:24-bit" else np.int16)


def test_no_decode_is_aligned_to_its_original(built: BenchTrack) -> None:
    """Guards against the shortcut: with encoders that change nothing, every item still starts elsewhere."""
    original = built.samples(built.items[0])
    held_out = [item for item in built.items if item.condition == "held-out"]
    assert not any(np.array_equal(built.samples(item)[:99], original[:99]) for item in held_out)


def test_an_insert_lies_inside_its_item(built: BenchTrack) -> None:
    """Guards insert_start_s: the lossy stretch was not cut off by the shift, and its twin is as long and true."""
    twin, insert = (item for item in built.items if item.condition == "insert")
    seconds = len(built.samples(insert)) / 44_100
    assert 0.5 < insert.insert_start_s < seconds - insert.insert_seconds
    assert len(built.samples(twin)) == len(built.samples(insert))
    assert (twin.is_lossy, insert.is_lossy) == (False, True)


def test_sixteen_bit_samples_come_back_exactly() -> None:
    """Guards the processed originals: storing must not add a second rounding."""
    pcm = np.array([[-32_768, 32_767], [0, 1]], dtype=np.int16)
    assert np.array_equal(stored(pcm.astype(np.float32) / np.float32(32_768), deep=False), pcm)


def test_twenty_four_bit_samples_are_left_justified() -> None:
    """Guards the 24-bit items: as tensorflow-io decodes them, and full scale does not wrap around."""
    held = stored(np.array([[1.0, -1.0], [2.0**-23, 0.0]], dtype=np.float32), deep=True)
    assert held.dtype == np.int32
    assert held.tolist() == [[(2**23 - 1) * 256, -(2**31)], [256, 0]]
