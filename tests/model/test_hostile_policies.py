"""Policy files nobody would write on purpose: a policy that can be obeyed or PolicyError, nothing else."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artefact import default_policy_path
from model.constants import FAMILIES
from model.errors import PolicyError
from model.policy import Policy, TrackFacts
from model.pooling import TrackScore
from tests.cases import cases
from tests.mutations import mutated

RELEASED = default_policy_path().read_bytes()
KEYS = tuple(json.loads(RELEASED))

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
_numbers = st.floats() | st.integers(-(10**400), 10**400) | st.sampled_from([0, 1, 0.5, 0.0, 1.0, -0.0, 5e-324])
_facts = st.builds(TrackFacts, duration_s=st.floats(), level_dbfs=st.floats(), bandwidth_hz=st.floats())
_probabilities = st.floats(0, 1) | st.just(math.nan)


def load(content: bytes, path: Path) -> Policy | None:
    """Read a policy file; None where it is refused as it should be."""
    path.write_bytes(content)
    try:
        return Policy.load(path)
    except PolicyError as error:
        assert str(error).startswith("policy: ")
        assert len(str(error)) < 1000
        return None


def check_obeyed(policy: Policy, probability: float, facts: TrackFacts) -> None:
    """Whatever the thresholds: one decision, and never accept or reject from what is not a number."""
    score = TrackScore(probability, (probability,), dict.fromkeys(FAMILIES, 0.0), "mp3", "LE_160")
    decision = policy.decide(score, facts)
    measured = (probability, facts.duration_s, facts.level_dbfs, facts.bandwidth_hz)
    if any(map(math.isnan, measured)):
        assert decision.decision == "review"
    if decision.decision == "reject":
        assert probability >= policy.reject_at
    if decision.decision == "accept":
        assert probability < policy.accept_below


@cases(100)
@given(mutated([RELEASED]), _probabilities, _facts)
def test_mutated_files(tmp_path: Path, content: bytes, probability: float, facts: TrackFacts) -> None:
    """A policy file with a slip of the pen or a torn write is refused, or decides by what it then says."""
    if (policy := load(content, tmp_path / "policy.json")) is not None:
        check_obeyed(policy, probability, facts)


@cases(100)
@given(st.fixed_dictionaries(dict.fromkeys(KEYS, _numbers | _json) | {"version": st.text(max_size=9) | _json}))
def test_any_values(tmp_path: Path, values: dict[str, Any]) -> None:
    """Right keys with values of any type and size."""
    policy = load(json.dumps(values).encode(), tmp_path / "policy.json")
    if policy is not None:
        assert all(map(math.isfinite, (value for value in asdict(policy).values() if not isinstance(value, str))))
        check_obeyed(policy, 0.5, TrackFacts(100.0, -10.0, 20_000.0))


@cases(100)
@given(_json)
def test_any_json(tmp_path: Path, values: object) -> None:
    """A JSON file that is something else is no policy."""
    assert load(json.dumps(values).encode(), tmp_path / "policy.json") is None


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"version":' * 100_000,
        b'{"reject_at": ' + b"9" * 100_000 + b"}",
        RELEASED.replace(b'"version":', b'"version": "a", "version":'),
        b"\x00" * 1000,
    ],
    ids=["not UTF-8", "nested lists", "nested objects", "endless number", "key twice", "zeros"],
)
def test_files_made_to_break_the_parser(content: bytes, tmp_path: Path) -> None:
    """What makes a JSON parser recurse, count for ever or pick one of two values is refused by name."""
    assert load(content, tmp_path / "policy.json") is None
