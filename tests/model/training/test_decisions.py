"""Decisions files and the comparison of detectors."""

from pathlib import Path

from model.training import decisions
from tests.model.training.support import judged


def test_decisions_survive_the_way_to_disk_and_give_the_same_bytes(tmp_path: Path) -> None:
    """Guards the committed files: written twice they must not differ."""
    taken = decisions.of([judged("reject", truth="mp3", name="a"), judged("accept", name="b")])
    for name in ("one", "two"):
        decisions.write(taken, tmp_path / name)
    assert (
        decisions.read(tmp_path / "one")
        == taken
        == {"test-0000/a.npy": ("reject", 0.99), "test-0000/b.npy": ("accept", 0.01)}
    )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_only_shared_items_are_compared() -> None:
    """Guards fairness: an item that one detector never heard counts for none."""
    ours = [
        judged("reject", truth="mp3", name="a"),
        judged("accept", name="b"),
        judged("reject", truth="aac", name="c"),
    ]
    other = {"test-0000/a.npy": ("accept", 0.1), "test-0000/b.npy": ("reject", 0.9)}
    mine, theirs = decisions.compare(ours, {"other": other})
    assert mine["lossy"] == {"n": 1, "reject": 1, "review": 0, "accept": 0}
    assert theirs["lossy"] == {"n": 1, "reject": 0, "review": 0, "accept": 1}
    assert theirs["true"] == {"n": 1, "reject": 1, "review": 0, "accept": 0}
