"""From what was heard to a bitrate class."""

import json
import math

import numpy as np
import pytest

from model.bitrate import FEATURES, BitrateScale, features
from model.constants import BITRATE_CLASSES, FAMILIES
from model.errors import ArtefactError


def test_features_are_laid_out_by_class_family_and_bandwidth() -> None:
    """Guards the layout: weights fitted on one order mean nothing in another."""
    row = features(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), FAMILIES[2], 0.5, 16_000.0)
    assert row.shape == (FEATURES,)
    np.testing.assert_allclose(row[: len(BITRATE_CLASSES)], [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert np.flatnonzero(row[5:12]).tolist() == [2]
    assert row[12:19].tolist() == [0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    assert row[19] == pytest.approx(1.6)
    own = row[20:].reshape(len(FAMILIES), len(BITRATE_CLASSES) + 1)
    np.testing.assert_allclose(own[2], [-2.0, -1.0, 0.0, 1.0, 2.0, 0.0], atol=1e-12)
    assert not np.delete(own, 2, axis=0).any(), "another family's slopes must not count"


@pytest.mark.parametrize(
    ("kbps", "expected"), [(96.0, "LE_96"), (97.0, "LE_160"), (320.0, "GT_288"), (1e300, "GT_288"), (0.0, "LE_96")]
)
def test_an_estimate_becomes_its_class(kbps: float, expected: str) -> None:
    """Guards the edges, and an overflow on rubbish."""
    exponent = math.log2(kbps) if kbps else -1e6
    assert BitrateScale((0.0,) * FEATURES, exponent).bitrate_class(np.zeros(FEATURES)) == expected


def test_an_unknown_bandwidth_breaks_nothing() -> None:
    """Guards the paths that measure no bandwidth: a class is named, nothing is raised."""
    row = features(np.zeros(5), "mp3", 0.0, math.nan)
    assert BitrateScale((1.0,) * FEATURES, 7.0).bitrate_class(row) in BITRATE_CLASSES


def test_json_comes_back() -> None:
    """Guards the artefact's metadata."""
    scale = BitrateScale(tuple(float(i) for i in range(FEATURES)), 7.5)
    assert BitrateScale.from_json(json.loads(json.dumps(scale.to_json()))) == scale


@pytest.mark.parametrize(
    "values",
    [
        None,
        3.0,
        {"weights": [0.0] * FEATURES},
        {"weights": [0.0] * (FEATURES - 1), "bias": 0.0},
        {"weights": [0.0] * (FEATURES - 1) + [math.nan], "bias": 0.0},
        {"weights": [0.0] * (FEATURES - 1) + ["1"], "bias": 0.0},
        {"weights": [0.0] * FEATURES, "bias": True},
    ],
)
def test_a_scale_that_is_none_is_refused(values: object) -> None:
    """Guards against an artefact of another layout being used."""
    with pytest.raises(ArtefactError, match="bitrate"):
        BitrateScale.from_json(values)
