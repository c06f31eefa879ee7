"""Training that is interrupted and goes on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from model.training import train as step
from model.training.bench import BenchTrack, Item
from model.training.checkpoint import CHECKPOINT_FILE, CheckpointError, read_standing
from model.training.tracks import Track
from model.training.train import LOG_FILE, Settings, train

# A steep rate: a forgotten part must move the weights far beyond rounding.
SETTINGS = Settings(minutes=600.0, steps=4, groups=1, crop_samples=32_768, check_every=1, seed=3, learning_rate=0.05)


@pytest.fixture
def benches(tmp_path: Path) -> list[BenchTrack]:
    """Two tracks of noise with just enough items to fill a group."""
    items = (
        Item("original.npy", "original", "original", 0.0, "", 44_100),
        Item("hiss.npy", "variant", "hiss", 0.0, "", 44_100),
        *(Item(f"mp3-{kbps}.npy", "mp3", f"mp3-{kbps}", kbps, "libmp3lame", 44_100) for kbps in (96, 128, 192, 320)),
    )
    rng, made = np.random.default_rng(5), []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for item in items:
            np.save(folder / item.file, rng.integers(-9_000, 9_000, (36_000, 2)).astype(np.int16))
        made.append(BenchTrack(Track(name, "train", ("band",), "performance", (), 44_100, 1, ""), items, folder))
    return made


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Watching costs nothing here; the given look at the validation sources (0: none) is the one that is killed."""

    def at(look: int) -> None:
        looks = 0

        def check(*_: object) -> dict[str, float]:
            nonlocal looks
            looks += 1
            if looks == look:
                raise KeyboardInterrupt
            return {"auc": 0.5}

        monkeypatch.setattr(step, "_check", check)

    return at


def _steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / LOG_FILE).read_text().splitlines()]


def test_an_interrupted_run_ends_like_one_that_was_not(
    benches: list[BenchTrack], tmp_path: Path, interrupt: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards the whole resumption: steps, log, batches, optimiser, seeds; a part forgotten moves the weights."""
    interrupt(0)
    whole = train(benches, benches, tmp_path / "whole", SETTINGS)
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        train(benches, benches, tmp_path / "cut", SETTINGS)
    standing = read_standing(tmp_path / "cut")
    assert standing is not None
    assert (standing.step, standing.finished) == (2, False)
    interrupt(0)
    keras.utils.set_random_seed(99)  # another process would not have our generator's position either
    resumed = train(benches, benches, tmp_path / "cut", SETTINGS)
    assert "going on at step 2" in capsys.readouterr().err
    assert _steps(tmp_path / "cut") == _steps(tmp_path / "whole") == [1, 2, 3, 4]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    ended = read_standing(tmp_path / "cut")
    assert ended is not None
    assert (ended.step, ended.finished, ended.metrics["auc"]) == (4, True, 0.5)
    assert ended.seconds > standing.seconds


def test_another_run_is_refused_unless_fresh(
    benches: list[BenchTrack], tmp_path: Path, interrupt: Callable[[int], None]
) -> None:
    """Guards an unfinished run against being overwritten by other settings or continued on another bench."""
    out = tmp_path / "run"
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        train(benches, benches, out, SETTINGS)
    before = (out / CHECKPOINT_FILE).read_bytes()
    interrupt(0)
    with pytest.raises(CheckpointError, match=r"learning_rate.*--fresh"):
        train(benches, benches, out, replace(SETTINGS, learning_rate=1e-3))
    with pytest.raises(CheckpointError, match="bench"):
        train(benches[:1], benches, out, SETTINGS)
    assert (out / CHECKPOINT_FILE).read_bytes() == before
    train(benches[:1], benches, out, replace(SETTINGS, steps=1), fresh=True)
    assert _steps(out) == [1]


def test_lines_that_the_checkpoint_has_not_seen_do_not_stand_twice(
    benches: list[BenchTrack], tmp_path: Path, interrupt: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the log of a run killed between its line and its checkpoint: the step is logged once."""
    out = tmp_path / "run"
    interrupt(0)
    real, saved = step.save_checkpoint, []

    def save(folder: Path, network: keras.Model, standing: object) -> None:
        saved.append(standing)
        if len(saved) == 2:
            raise KeyboardInterrupt
        real(folder, network, standing)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "save_checkpoint", save)
    with pytest.raises(KeyboardInterrupt):
        train(benches, benches, out, SETTINGS)
    assert _steps(out) == [1, 2]
    train(benches, benches, out, SETTINGS)
    assert _steps(out) == [1, 2, 3, 4]


def test_a_damaged_checkpoint_is_named(benches: list[BenchTrack], tmp_path: Path) -> None:
    """Guards the message: a file that can't be read is no traceback, and nothing starts over it."""
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match="can't be read"):
        train(benches, benches, tmp_path, SETTINGS)
