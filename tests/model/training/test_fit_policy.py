"""Thresholds from scored items: whom each of them protects."""

import numpy as np
import pytest

from model.pooling import Calibration
from model.training.calibrate import (
    ACCEPT_BELOW,
    MINIMUM_BANDWIDTH_HZ,
    REJECT_AT_LEAST,
    fit_policy,
)
from model.training.scoring import ScoredItem
from tests.model.training.scored_items import scored

_PLAIN = Calibration()  # the probability is the logistic function of the logit


def _many(low: float, high: float, *, lossy: bool, number: int = 200) -> list[ScoredItem]:
    return [scored(logit, lossy=lossy) for logit in np.linspace(low, high, number)]


@pytest.mark.parametrize("weakest", [-5.0, 4.0])
def test_even_odds_are_accepted_however_weak_decodes_are(weakest: float) -> None:
    """Guards listeners where hardly any decode is weak, and people's time where many can't be found at all."""
    policy = fit_policy([*_many(-8, -4, lossy=False), *_many(weakest, 8, lossy=True)], _PLAIN, "1")
    assert policy.accept_below == ACCEPT_BELOW
    assert policy.reject_at == REJECT_AT_LEAST


def test_a_true_recording_that_scores_high_moves_the_rejection_above_it() -> None:
    """Guards labels: a rejection needs more than what one in two hundred true recordings reaches."""
    true = [*_many(-8, -4, lossy=False), *_many(5, 6, lossy=False, number=20)]
    policy = fit_policy([*true, *_many(4, 8, lossy=True)], _PLAIN, "1")
    rejected = sum(1 / (1 + np.exp(-s.lossy_logits[0])) >= policy.reject_at for s in true)
    assert policy.reject_at > REJECT_AT_LEAST
    assert rejected <= 1


def test_what_the_policy_would_not_judge_sets_no_threshold() -> None:
    """Guards the fit: a dull true recording with a high score is no reason to reject less."""
    items = [*_many(-8, -4, lossy=False), *_many(4, 8, lossy=True)]
    dull = [scored(9.0, lossy=False, bandwidth_hz=MINIMUM_BANDWIDTH_HZ - 1.0)] * 50
    assert fit_policy([*items, *dull], _PLAIN, "1") == fit_policy(items, _PLAIN, "1")
