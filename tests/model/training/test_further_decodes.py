"""Decodes of further recordings: which clips are encoded, what is kept of them, and that nothing is done twice."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from model.constants import SEGMENT_SAMPLES
from model.training.bench import INDEX, BenchTrack, Item, load_bench
from model.training.further_decodes import ENCODINGS, build_decodes, chosen
from model.training.tracks import Track


def _clip(folder: Path, group: str, number: int, dtype: type[np.signedinteger] = np.int16) -> BenchTrack:
    """A clip as ``truths`` leaves it: noise, four segments."""
    track = Track(f"test-{group}-{number}", "test", (group,), "recording", (), 44_100, 4, "")
    item = Item("original.npy", "original", "original", 0.0, "", 44_100)
    place = folder / "test" / track.id
    place.mkdir(parents=True)
    noise = np.random.default_rng(number).integers(-9_000, 9_000, (4 * SEGMENT_SAMPLES, 2))
    np.save(place / item.file, noise.astype(dtype) << 8 * (np.dtype(dtype).itemsize - 2))
    (place / INDEX).write_text(json.dumps({"track": asdict(track), "items": [asdict(item)]}))
    return BenchTrack(track, (item,), place)


def test_no_source_group_comes_twice(tmp_path: Path) -> None:
    """Guards the intervals: clips of one group are not independent; the lot is the seed's."""
    clips = [_clip(tmp_path, group, number) for group in "abc" for number in range(3)]
    lots = [chosen(clips, 2, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert all(len({clip.track.groups for clip in lot}) == 2 for lot in lots)
    assert lots[0] == lots[1]
    assert any(lot != lots[0] for lot in lots[2:])
    assert len(chosen(clips, 9, np.random.default_rng(1))) == 3


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_every_encoding_comes_back_as_a_bench(tmp_path: Path, dtype: type[np.signedinteger]) -> None:
    """Guards what is judged: each encoding of the targets, of the clip's own audio, starting elsewhere; 24 bit, too."""
    clip = _clip(tmp_path / "truths", "noise", 1, dtype)
    assert build_decodes([clip], tmp_path / "out", number=5, seed=1) == (1, 0)
    (decoded,) = load_bench(tmp_path / "out", "test")
    assert sorted(item.name for item in decoded.items) == sorted(ENCODINGS)
    assert all(item.is_lossy and item.has_known_family for item in decoded.items)
    for item in decoded.items:
        pcm = decoded.samples(item)
        assert pcm.shape == (3 * SEGMENT_SAMPLES, 2)
        assert 2_000 < float(np.std(pcm[SEGMENT_SAMPLES:])) < 9_000
    written = {path: path.stat().st_mtime_ns for path in decoded.folder.iterdir()}
    assert build_decodes([clip], tmp_path / "out", number=5, seed=1) == (1, 0)
    assert written == {path: path.stat().st_mtime_ns for path in decoded.folder.iterdir()}
