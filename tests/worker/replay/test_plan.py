"""What a plan keeps, and what it refuses."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from worker.exceptions import LossgateError, SettingsError
from worker.records import DetectorIdentity
from worker.replay.plan import (
    ReplayPlan,
    Request,
    check_replay_id,
    committed_in,
    from_json,
    may_be_forgotten,
    refuse_other_detector,
    refuse_other_request,
    refuse_shared_topics,
    to_json,
)
from worker.replay.ranges import OffsetRange
from worker.replay.selection import Selection
from worker.settings import Settings

DETECTOR = DetectorIdentity("net", "2", "ab" * 32, "2026.1")
REQUEST = Request(
    topic="in",
    detector=DETECTOR,
    windows_per_track=12,
    searched_segments=3,
    since=datetime(2026, 11, 1, tzinfo=UTC),
    offsets=("0/5-14",),
    selection=Selection(frozenset({"A"}), frozenset({"d-1", "d-2"})),
)
PLAN = ReplayPlan("r-1", REQUEST, {0: OffsetRange(5, 15), 3: OffsetRange(0, 4)}, datetime(2026, 11, 22, tzinfo=UTC))
SETTINGS = Settings(_env_file=None)


def test_a_stored_plan_is_the_plan() -> None:
    """Another process must work on exactly the same."""
    assert from_json(to_json(PLAN)) == PLAN


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{}", b"\xff", b'{"format": 2}', b"[" * 100_000]
    + [json.dumps({**json.loads(to_json(PLAN)), **damage}).encode() for damage in (
        {"ranges": {"x": [1, 2]}}, {"ranges": {"0": [1]}}, {"replay_id": "a b"}, {"since": "soon"}, {"offsets": None}
    )],
)  # fmt: skip
def test_what_is_no_plan_is_refused(text: bytes) -> None:
    """Whatever stands in the topic ends in one plain error."""
    with pytest.raises(LossgateError):
        from_json(text)


def test_a_plan_must_fit_into_a_record() -> None:
    """A list of deliveries that the brokers would refuse is refused with advice."""
    ids = frozenset(f"{number:0>100}" for number in range(10_000))
    large = dataclasses.replace(PLAN, request=dataclasses.replace(REQUEST, selection=Selection(delivery_ids=ids)))
    with pytest.raises(SettingsError, match="several replays"):
        to_json(large)


def test_another_request_or_detector_is_named() -> None:
    """Going on with something else than was planned would mix two replays under one id."""
    refuse_other_request(PLAN, dataclasses.replace(REQUEST))
    with pytest.raises(SettingsError, match="since, to_live_topic"):
        refuse_other_request(PLAN, dataclasses.replace(REQUEST, since=None, to_live_topic=True))
    refuse_other_detector(PLAN, dataclasses.replace(DETECTOR))
    with pytest.raises(SettingsError, match=r"policy 2026\.2"):
        refuse_other_detector(PLAN, dataclasses.replace(DETECTOR, policy_version="2026.2"))


def test_verdicts_reach_the_live_topic_only_when_asked() -> None:
    """A backfill must not reject by accident; its group is never the live one."""
    own = PLAN.apply_to(SETTINGS)
    assert (own.verdicts_topic, own.dead_letters_topic) == ("lossgate.verdicts.replay", "lossgate.dead-letters.replay")
    assert (own.kafka_group_id, own.deliveries_topic) == ("lossgate-replay-r-1", "in")
    asked = dataclasses.replace(PLAN, request=dataclasses.replace(REQUEST, to_live_topic=True)).apply_to(SETTINGS)
    assert (asked.verdicts_topic, asked.dead_letters_topic) == ("lossgate.verdicts", "lossgate.dead-letters.replay")


def test_topics_that_would_mix_are_refused() -> None:
    """The replay's verdicts set to the live topic's name would be a backfill that rejects by accident."""
    refuse_shared_topics(SETTINGS, SETTINGS.deliveries_topic)
    with pytest.raises(SettingsError, match="LOSSGATE_REPLAY_VERDICTS_TOPIC"):
        refuse_shared_topics(SETTINGS.model_copy(update={"replay_verdicts_topic": SETTINGS.verdicts_topic}), "in")
    with pytest.raises(SettingsError, match="same name"):
        refuse_shared_topics(SETTINGS, SETTINGS.verdicts_topic)


def test_progress_counts_what_lies_in_the_ranges() -> None:
    """A partition without a committed offset, one before its range and one behind it count as they should."""
    assert PLAN.offsets == 14
    assert committed_in(PLAN, {0: None, 3: None}) == 0
    assert committed_in(PLAN, {0: 2, 3: 1}) == 1
    assert committed_in(PLAN, {0: 15, 3: 99}) == 14


def test_an_old_plan_without_an_offset_may_be_forgotten() -> None:
    """Begun anew it would judge everything twice; one committed offset proves that the brokers still know."""
    late, soon = PLAN.created_at + timedelta(days=8), PLAN.created_at + timedelta(days=6)
    assert may_be_forgotten(PLAN, {0: None, 3: None}, late)
    assert not may_be_forgotten(PLAN, {0: None, 3: 1}, late)
    assert not may_be_forgotten(PLAN, {0: None, 3: None}, soon)


def test_covers_the_ranges_of_its_topic() -> None:
    """The comparison takes live verdicts of these events only."""
    assert PLAN.covers("in", 0, 5)
    assert not PLAN.covers("in", 0, 15)
    assert not PLAN.covers("in", 1, 5)
    assert not PLAN.covers("other", 0, 5)


@pytest.mark.parametrize("replay_id", ["", "live", "a b", "-a", "ä", "a" * 65, "a/b"])
def test_ids_fit_into_group_names(replay_id: str) -> None:
    """The id is part of a group's name, a header and a command line."""
    with pytest.raises(SettingsError):
        check_replay_id(replay_id)
