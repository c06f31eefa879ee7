"""Logits and grid scores to probabilities: what a fit must not learn from a set without accidents."""

import numpy as np

from model.training.calibrate import REJECT_AT_LEAST, fit_calibration, track_score
from model.training.scoring import ScoredItem
from tests.model.training.scored_items import scored, searched

_ACCIDENT = 7.5  # standard deviations that a true drum machine reached
_HEARS_NOTHING = -1.0  # mean logit of true recordings


def _items() -> list[ScoredItem]:
    """True recordings up to 3.9 sigma and decodes from 4.5 on, all alike to the network."""
    rng = np.random.default_rng(8)
    chance, traces = rng.uniform(1.5, 3.9, 200), rng.uniform(4.5, 90.0, 200)
    logits = rng.normal(_HEARS_NOTHING, 1.5, 200)
    true = [scored(logit, lossy=False, search=searched("mp3", z)) for logit, z in zip(logits, chance, strict=True)]
    return true + [
        scored(logit + 1.0, lossy=True, search=searched("mp3", z)) for logit, z in zip(logits, traces, strict=True)
    ]


def test_what_chance_reached_elsewhere_does_not_reject_by_itself() -> None:
    """Guards labels: between 3.9 and 4.5 sigma any slope fits, and the steepest would reject a true drum machine."""
    calibration = fit_calibration(_items())
    accident, clear = (
        track_score(scored(_HEARS_NOTHING, lossy=False, search=searched("mp3", z)), calibration).probability
        for z in (_ACCIDENT, 20.0)
    )
    assert accident < REJECT_AT_LEAST
    assert clear > 0.99


def test_many_decodes_of_one_kind_do_not_make_that_kind_lossy() -> None:
    """Guards single instruments: what a fit may learn from ten decodes to one original is not that pianos are lossy."""
    rng = np.random.default_rng(9)

    def group(name: str, logit: float, true: int, lossy: int) -> list[ScoredItem]:
        return [scored(rng.normal(logit, 0.5), lossy=i < lossy, group=name) for i in range(true + lossy)]

    # Nothing tells the truths apart, but of the pianos, which sound brighter, there are ten decodes to an original.
    items = group("mixes", -1.0, 300, 300) + group("pianos", 1.0, 30, 300)
    calibration = fit_calibration(items)
    for logit in (-1.0, 1.0):
        probability = track_score(scored(logit, lossy=False), calibration).probability
        assert abs(probability - 0.5) < 0.1, logit
