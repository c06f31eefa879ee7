"""Checksums of what was measured on."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from model.training.bench import Item, load_bench
from model.training.manifest import check_manifest, write_manifest
from model.training.scoring import segments_of
from model.training.tracks import Track


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with one trial track of two items, the second in 24 bit."""
    folder = tmp_path / "trials" / "test" / "test-0001"
    folder.mkdir(parents=True)
    half = np.full((131_072, 2), 0.5)
    np.save(folder / "a.npy", (half * 2**15).astype(np.int16))
    np.save(folder / "b.npy", (half * 2**31).astype(np.int32))
    items = [
        Item("a.npy", "original", "original", 0.0, "", 44_100, condition="original"),
        Item("b.npy", "other", "other-sbc-328", 328.0, "sbc", 44_100, "path", "held-out"),
    ]
    track = Track("test-0001", "test", ("g",), "mix", (), 44_100, 1, "x.flac")
    values = {"track": asdict(track), "items": [asdict(item) for item in items]}
    (folder / "index.json").write_text(json.dumps(values), encoding="utf-8")
    return tmp_path


def test_what_was_written_is_found_unchanged(work: Path) -> None:
    """Guards the round trip: a fresh manifest has no differences."""
    assert write_manifest(work, "test", work / "m.tsv") == 2
    assert check_manifest(work, "test", work / "m.tsv") == []


def test_differences_name_the_item(work: Path) -> None:
    """Guards the check: one changed sample and one lost file are both named."""
    write_manifest(work, "test", work / "m.tsv")
    folder = work / "trials" / "test" / "test-0001"
    changed = np.load(folder / "a.npy")
    changed[7, 0] += 1
    np.save(folder / "a.npy", changed)
    (folder / "b.npy").unlink()
    assert check_manifest(work, "test", work / "m.tsv") == [
        "differs: trials/test/test-0001/a.npy (sha256)",
        "missing: trials/test/test-0001/b.npy",
    ]


def test_items_of_both_depths_have_the_same_scale(work: Path) -> None:
    """Guards the scores of 24-bit items: half of full scale is 0.5 in either depth."""
    (bench,) = load_bench(work / "trials", "test")
    assert [float(segments_of(bench, item).max()) for item in bench.items] == [0.5, 0.5]


def test_other_codecs_are_lossy_without_a_family(work: Path) -> None:
    """Guards is_lossy and the family score for codecs that the network can't name."""
    (bench,) = load_bench(work / "trials", "test")
    assert [item.is_lossy for item in bench.items] == [False, True]
    assert [item.has_known_family for item in bench.items] == [False, False]


def test_old_index_files_still_load() -> None:
    """Guards the bench that was built before trials existed."""
    item = Item(file="a", truth="mp3", name="n", kbps=1.0, encoder="e", rate_hz=44_100)
    assert (item.condition, item.insert_start_s, item.insert_seconds) == ("", 0.0, 0.0)
