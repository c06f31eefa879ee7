"""Judged items with a known truth and decision, without audio or network."""

from pathlib import Path

import numpy as np

from model.constants import BITRATE_CLASSES, FAMILIES
from model.policy import Decision
from model.policy import Verdict as Kind
from model.pooling import TrackScore
from model.training.bench import BenchTrack, Item
from model.training.evaluate import Judged
from model.training.scoring import ScoredItem
from model.training.tracks import Track

PROBABILITY = {"reject": 0.99, "review": 0.5, "accept": 0.01}


def judged(
    decision: Kind,
    *,
    truth: str = "original",
    name: str = "original",
    condition: str = "",
    group: str = "group",
    track: str = "test-0000",
    kbps: float = 320.0,
    family: str = "mp3",
    bitrate_class: str = "GT_288",
) -> Judged:
    """Return an item as an evaluation leaves it."""
    item = Item(f"{name}.npy", truth, name, kbps, "", 44_100, condition=condition)
    bench = BenchTrack(Track(track, "test", (group,), "mix", (), 44_100, 4, ""), (item,), Path())
    none = np.zeros(1)
    scored = ScoredItem(bench, item, none, none[None], none[None], none, 20_000.0)
    shares = dict.fromkeys(FAMILIES, 1.0 / len(FAMILIES))
    assert bitrate_class in BITRATE_CLASSES
    score = TrackScore(PROBABILITY[decision], (PROBABILITY[decision],), shares, family, bitrate_class)
    return Judged(scored, score, Decision(decision, "UNCERTAIN"))
