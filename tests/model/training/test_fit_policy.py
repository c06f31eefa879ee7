"""Thresholds from scored items: whom each of them protects."""

from pathlib import Path

import numpy as np

from model.constants import BITRATE_CLASSES, FAMILIES
from model.pooling import Calibration
from model.training.bench import BenchTrack, Item
from model.training.calibrate import (
    ACCEPTED_AT_MOST,
    MINIMUM_BANDWIDTH_HZ,
    ORDINARY_REVIEWED_AT_MOST,
    REJECT_AT_LEAST,
    fit_policy,
)
from model.training.scoring import ScoredItem
from model.training.tracks import Track

_PLAIN = Calibration()  # the probability is the logistic function of the logit


def _scored(logit: float, *, lossy: bool, bandwidth_hz: float = 20_000.0) -> ScoredItem:
    """One segment with that logit."""
    item = Item("a.npy", "mp3" if lossy else "original", "a", 320.0, "", 44_100)
    bench = BenchTrack(Track("validation-0000", "validation", ("g",), "mix", (), 44_100, 1, ""), (item,), Path())
    heads = np.zeros((1, len(FAMILIES))), np.zeros((1, len(BITRATE_CLASSES)))
    return ScoredItem(bench, item, np.array([logit]), *heads, np.array([-14.0]), bandwidth_hz)


def _many(low: float, high: float, *, lossy: bool, number: int = 200) -> list[ScoredItem]:
    return [_scored(logit, lossy=lossy) for logit in np.linspace(low, high, number)]


def test_what_is_more_likely_lossy_than_not_is_never_accepted() -> None:
    """Guards listeners where hardly any decode is weak: two per cent of them would let 0.98 pass."""
    policy = fit_policy([*_many(-8, -4, lossy=False), *_many(4, 8, lossy=True)], _PLAIN, "1")
    assert policy.accept_below == ACCEPTED_AT_MOST
    assert policy.reject_at == REJECT_AT_LEAST


def test_a_true_recording_that_scores_high_moves_the_rejection_above_it() -> None:
    """Guards labels: a rejection needs more than what one in two hundred true recordings reaches."""
    true = [*_many(-8, -4, lossy=False), *_many(5, 6, lossy=False, number=20)]
    policy = fit_policy([*true, *_many(4, 8, lossy=True)], _PLAIN, "1")
    rejected = sum(1 / (1 + np.exp(-s.lossy_logits[0])) >= policy.reject_at for s in true)
    assert policy.reject_at > REJECT_AT_LEAST
    assert rejected <= 1


def test_weak_decodes_lower_what_is_accepted_down_to_the_ordinary_masters() -> None:
    """Guards both: weak decodes go to a person, but not at the price of one master in thirty."""
    true, weak = _many(-6, -2, lossy=False), _many(-5, 8, lossy=True)
    policy = fit_policy([*true, *weak], _PLAIN, "1")
    reviewed = np.mean([1 / (1 + np.exp(-s.lossy_logits[0])) >= policy.accept_below for s in true])
    assert policy.accept_below < ACCEPTED_AT_MOST
    assert 0.0 < reviewed <= ORDINARY_REVIEWED_AT_MOST


def test_what_the_policy_would_not_judge_sets_no_threshold() -> None:
    """Guards the fit: a dull true recording with a high score is no reason to reject less."""
    items = [*_many(-8, -4, lossy=False), *_many(4, 8, lossy=True)]
    dull = [_scored(9.0, lossy=False, bandwidth_hz=MINIMUM_BANDWIDTH_HZ - 1.0)] * 50
    assert fit_policy([*items, *dull], _PLAIN, "1") == fit_policy(items, _PLAIN, "1")
