"""From a score to a decision."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from model.artefact import default_policy_path
from model.constants import CLEAR_GRID_SCORE, FAMILIES
from model.errors import PolicyError
from model.policy import Decision, Policy, TrackFacts
from model.pooling import GridFinding, TrackScore

POLICY = Policy(
    version="test",
    reject_at=0.9,
    accept_below=0.2,
    name_family_at=0.5,
    minimum_duration_s=3.0,
    silence_dbfs=-70.0,
    minimum_bandwidth_hz=7_000.0,
)
FACTS = TrackFacts(duration_s=180.0, level_dbfs=-14.0, bandwidth_hz=20_000.0)


def _score(probability: float) -> TrackScore:
    """A score that suspects MP3 at 128."""
    scores = {name: float(name == "mp3") for name in FAMILIES}
    return TrackScore(probability, (probability,), scores, "mp3", "LE_160")


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.0, Decision("accept", "NO_LOSSY_TRACES")),
        (0.19, Decision("accept", "NO_LOSSY_TRACES")),
        (0.2, Decision("review", "UNCERTAIN")),
        (0.49, Decision("review", "UNCERTAIN")),
        (0.5, Decision("review", "UNCERTAIN", "mp3", "LE_160")),
        (0.89, Decision("review", "UNCERTAIN", "mp3", "LE_160")),
        (0.9, Decision("reject", "LOSSY_TRACES", "mp3", "LE_160")),
        (1.0, Decision("reject", "LOSSY_TRACES", "mp3", "LE_160")),
        (math.nan, Decision("review", "UNCERTAIN")),
    ],
)
def test_thresholds(probability: float, expected: Decision) -> None:
    """Guards every edge of the bands; NaN must be looked at by a person."""
    assert expected == POLICY.decide(_score(probability), FACTS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"duration_s": 2.9}, "TOO_SHORT"),
        ({"duration_s": math.nan}, "TOO_SHORT"),
        ({"level_dbfs": -70.0}, "SILENT"),
        ({"level_dbfs": -math.inf}, "SILENT"),
        ({"level_dbfs": math.nan}, "SILENT"),
        ({"bandwidth_hz": 6_999.0}, "BANDWIDTH_TOO_LOW"),
        ({"bandwidth_hz": math.nan}, "BANDWIDTH_TOO_LOW"),
    ],
)
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_abstentions(change: dict[str, float], reason: str, probability: float) -> None:
    """Guards restraint: whatever the network says, a track without evidence is only reviewed."""
    decision = POLICY.decide(_score(probability), replace(FACTS, **change))
    assert Decision("review", reason) == decision  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probability", "z", "expected"),
    [
        (0.9, CLEAR_GRID_SCORE, Decision("reject", "LOSSY_TRACES", "mp3", "LE_160")),
        (0.9, CLEAR_GRID_SCORE - 0.1, Decision("review", "BANDWIDTH_TOO_LOW")),
        (0.89, CLEAR_GRID_SCORE, Decision("review", "BANDWIDTH_TOO_LOW")),
        (0.0, CLEAR_GRID_SCORE, Decision("review", "BANDWIDTH_TOO_LOW")),
        (math.nan, CLEAR_GRID_SCORE, Decision("review", "BANDWIDTH_TOO_LOW")),
        (0.99, math.nan, Decision("review", "BANDWIDTH_TOO_LOW")),
    ],
)
def test_a_clear_grid_needs_no_treble(probability: float, z: float, expected: Decision) -> None:
    """Guards dull decodes: a clear frame grid rejects them, a doubtful one or the network alone does not."""
    score = replace(_score(probability), grid=GridFinding("mp3", z, 0, 0))
    assert expected == POLICY.decide(score, replace(FACTS, bandwidth_hz=3_000.0))


@pytest.mark.parametrize("change", [{"duration_s": 2.9}, {"level_dbfs": -71.0}])
def test_a_clear_grid_needs_sound(change: dict[str, float]) -> None:
    """Guards the other abstentions: what is too short or silent is not rejected by any grid."""
    score = replace(_score(1.0), grid=GridFinding("mp3", 1e3, 0, 0))
    assert POLICY.decide(score, replace(FACTS, **change)).decision == "review"


def test_no_score_is_too_short() -> None:
    """Guards the case of no window at all."""
    assert Decision("review", "TOO_SHORT") == POLICY.decide(None, FACTS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reject_at": 1.0}, "between 0 and 1"),
        ({"reject_at": "0.9"}, "must be a number"),
        ({"reject_at": True}, "must be a number"),
        ({"reject_at": math.nan}, "finite"),
        ({"accept_below": 0.95}, "must not exceed"),
        ({"accept_below": 0.0}, "between 0 and 1"),
        ({"minimum_duration_s": -1.0}, "negative"),
        ({"minimum_bandwidth_hz": -1.0}, "negative"),
        ({"silence_dbfs": 3.0}, "below 0"),
        ({"version": ""}, "version"),
        ({"version": 3}, "version"),
        ({"rejct_at": 0.9}, "unknown keys"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused(change: dict[str, object], words: str) -> None:
    """Guards every field with the plain words a person will read."""
    with pytest.raises(PolicyError, match=words):
        Policy.from_json({**asdict(POLICY), **change})


def test_a_missing_key_is_named() -> None:
    """Guards against a default threshold nobody chose."""
    values = asdict(POLICY)
    del values["reject_at"]
    with pytest.raises(PolicyError, match="reject_at"):
        Policy.from_json(values)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_file_that_is_no_policy_is_refused(text: str, tmp_path: Path) -> None:
    """Guards the reader against anything but an object."""
    path = tmp_path / "policy.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError):
        Policy.load(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """Guards the message for a mistyped path."""
    with pytest.raises(PolicyError, match="cannot read"):
        Policy.load(tmp_path / "none.json")


def test_the_released_policy_loads() -> None:
    """Guards the file that ships."""
    policy = Policy.load(default_policy_path())
    assert asdict(policy) == json.loads(default_policy_path().read_text(encoding="utf-8"))
