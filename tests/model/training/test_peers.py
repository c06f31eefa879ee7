"""The comparison with other detectors, without installing any."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model.errors import ModelError
from model.training.bench import BenchTrack, Item
from model.training.peers import ask, environment
from model.training.peers.choose import choose_items
from model.training.peers.clip import repeated, write_clip
from model.training.peers.known import PEERS, Peer
from model.training.peers.section import peers_section
from model.training.peers.tables import count, our_records, tabulate
from model.training.tracks import Track

ITEMS = (
    Item("original.npy", "original", "original", 0.0, "", 44_100),
    *(Item(f"variant-{n}.npy", "variant", n, 0.0, "", 44_100) for n in ("hiss", "limited", "dithered")),
    *(Item(f"mp3-{n}.npy", "mp3", f"mp3-{n}", float(n), "libmp3lame", 44_100) for n in (96, 128, 192, 320)),
)


def _bench(folder: Path, name: str) -> BenchTrack:
    return BenchTrack(Track(name, "test", ("band",), "performance", (), 44_100, 1, ""), ITEMS, folder / name)


def _record(peer: str, truth: str, file: str = "a.npy", *, found: bool | None) -> dict[str, object]:
    base = {"set": "bench", "track": "t", "file": file, "name": truth, "condition": "", "unsure": False, "seconds": 2.0}
    return {**base, "peer": peer, "truth": truth, "found": found}


def test_the_sample_is_fixed_halved_and_spread(tmp_path: Path) -> None:
    """Guards the comparison's fairness: the same items each time, as many true as lossy, every kind equally often."""
    benches = [_bench(tmp_path, f"t{i}") for i in range(8)]
    chosen = choose_items(benches, tracks=4, items_a_track=4)
    assert chosen == choose_items(benches, tracks=4, items_a_track=4)
    assert chosen[:8] == choose_items(benches, tracks=2, items_a_track=4)
    assert sum(item.is_lossy for _, item in chosen) == len(chosen) // 2 == 8
    assert set(Counter(item.name for _, item in chosen).values()) == {2}


def test_a_repeated_clip_is_itself_but_for_the_seams() -> None:
    """Guards what a peer hears: no click at a seam, all else bit for bit, and long enough."""
    pcm = (np.sin(np.arange(1_000) / 7.0)[:, None] * [9_000, -9_000]).astype(np.int16)
    long = repeated(pcm, 3_500, 50)
    assert len(long) >= 3_500
    assert long.dtype == np.int16
    np.testing.assert_array_equal(long[:950], pcm[:950])
    np.testing.assert_array_equal(long[1_000:1_900], pcm[50:950])
    np.testing.assert_array_equal(long[-50:], pcm[-50:])
    assert np.abs(np.diff(long.astype(int), axis=0)).max() <= 1.5 * np.abs(np.diff(pcm.astype(int), axis=0)).max()
    assert repeated(pcm, 900, 50) is pcm


@pytest.mark.parametrize(("dtype", "subtype"), [(np.int16, "PCM_16"), (np.int32, "PCM_24")])
def test_a_clip_keeps_its_depth(tmp_path: Path, dtype: type, subtype: str) -> None:
    """Guards the files: 16 bit bit for bit, and 24 bit where the bench has full-scale int32."""
    bench = _bench(tmp_path, "t")
    bench.folder.mkdir()
    pcm = np.random.default_rng(1).integers(-30_000, 30_000, (5_000, 2)).astype(dtype)
    pcm = pcm << 8 if dtype is np.int32 else pcm
    np.save(bench.folder / "original.npy", pcm)
    write_clip(bench, ITEMS[0], tmp_path / "clip.flac", 0.0)
    assert soundfile.info(tmp_path / "clip.flac").subtype == subtype
    read, _ = soundfile.read(tmp_path / "clip.flac", dtype="int16" if dtype is np.int16 else "int32")
    np.testing.assert_array_equal(read, pcm)


@pytest.mark.parametrize(
    ("peer", "word", "found"),
    [
        (0, "FAKE_CERTAIN", True),
        (0, "SUSPICIOUS", True),
        (0, "WARNING", False),
        (0, "AUTHENTIC", False),
        (0, "NOT_ASSESSED", None),
        (1, "V0", True),
        (1, "LOSSLESS", False),
        (1, "none", None),
    ],
)
def test_the_peers_words(peer: int, word: str, *, found: bool | None) -> None:
    """Guards the translation: an accusation, a pass, and no verdict are three things."""
    assert PEERS[peer].found(word) is found


def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Peer:
    """Return a peer whose process is a few lines of ours, run by this Python."""
    import sys  # noqa: PLC0415

    child = tmp_path / "child.py"
    child.write_text(f"import json, os, sys\nfor line in sys.stdin:\n    path = line.strip()\n    {body}\n")
    monkeypatch.setattr(ask, "environment", lambda *_: Path(sys.executable))
    monkeypatch.setattr(ask, "installed", lambda *_: ["numpy==1.0", "secret==2"])
    return replace(PEERS[0], child=str(child))


ANSWER = 'print(json.dumps({"word": "SUSPICIOUS", "score": 60.0, "reason": "r", "seconds": 1.5}), flush=True)'


def test_asking_is_resumed_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the run: an item asked once is never asked again, and no FLAC stays."""
    work = tmp_path / "work"
    folder = work / "bench" / "test" / "t"
    folder.mkdir(parents=True)
    for item in ITEMS:
        np.save(folder / item.file, np.zeros((4_000, 2), np.int16))
    monkeypatch.setattr(
        ask, "load_bench", lambda where, _: (_bench(folder.parent, "t"),) if "bench" in where.name else ()
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    peer = _fake(tmp_path, monkeypatch, ANSWER)
    first = ask.run_peers(work, tmp_path / "out", 1, 4, [peer])
    assert [item["found"] for item in first["items"]] == [True] * 4
    assert first["items"][0]["words"] == "SUSPICIOUS: r"
    assert first["peers"][0]["packages"] == ["numpy==1.0"]
    assert not list(tmp_path.rglob("*.flac"))
    broken = _fake(tmp_path, monkeypatch, "os._exit(1)")
    again = ask.run_peers(work, tmp_path / "out", 1, 4, [broken])
    assert again == first == json.loads((tmp_path / "out" / "peers.json").read_text())
    more = ask.run_peers(work, tmp_path / "out", 1, 8, [broken])["items"]
    assert Counter(item["found"] for item in more) == {True: 4, None: 4}  # a dying peer gives no verdict


def test_a_peer_that_cannot_be_installed_is_named(tmp_path: Path) -> None:
    """Guards the one clear line: who is missing and which command failed."""
    venv = tmp_path / "venv-flac-detective" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text("#!/bin/sh\necho no such package >&2; exit 1\n")
    (venv / "python").chmod(0o755)
    with pytest.raises(ModelError, match=r"flac-detective is missing: .*pip install.*no such package"):
        environment.environment(PEERS[0], tmp_path)


def test_counting_by_hand() -> None:
    """Guards the shares: no verdict is part of the total, and neither found nor rejected."""
    records = [_record("p", "mp3", found=found) for found in (True, True, False, None)]
    one = count(records)
    assert (one.n, one.accused, one.no_verdict, one.share) == (4, 2, 1, 0.5)
    assert one.interval == pytest.approx((0.150, 0.850), abs=1e-3)
    assert list(tabulate(records, lambda r: r["truth"])) == ["mp3"]


def test_the_section_compares_on_the_same_files() -> None:
    """Guards the comparison: files we did not judge count for nobody, a review of ours accuses nobody."""
    items = [
        _record("p", "mp3", "a.npy", found=None),
        _record("p", "mp3", "b.npy", found=True),
        _record("p", "original", "c.npy", found=True),
        _record("p", "original", "left-out.npy", found=True),
    ]
    about = {"peer": "p", "version": "1", "how": "somehow", "packages": ["x==1"]}
    ours = {("t", "a.npy"): "reject", ("t", "b.npy"): "review", ("t", "c.npy"): "accept"}
    assert [r["found"] for r in our_records(items, ours)] == [True, False, False]
    text = peers_section({"peers": [about], "items": items}, ours)
    assert "3 files of 1 test tracks" in text
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert "| Lossgate | 1 of 2, 50.0 %" in rows["Lossgate"]
    assert "| 1 / 0 | 0 / 0 | - |" in rows["Lossgate"]
    assert "1 of 1, 100.0 %" in rows["p"]
    assert "| 0 / 0 | 1 / 0 | 2.0 |" in rows["p"]
    assert "Lossgate" not in peers_section({"peers": [about], "items": items}, {})
