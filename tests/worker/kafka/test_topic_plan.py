"""From the topics wanted and those found to what has to be done."""

import pytest

from worker.exceptions import SettingsError
from worker.kafka.topic_plan import FoundTopic, Plan, WantedTopic, plan_topics

WANTED = WantedTopic("t", 6, 3, {"retention.ms": "1000"})


def test_a_topic_that_is_missing_is_created() -> None:
    """With all that is wanted of it."""
    assert plan_topics([WANTED], {}) == Plan(create=(WANTED,))


def test_a_topic_as_wanted_is_left_alone() -> None:
    """What was not asked about may be as it likes."""
    found = {"t": FoundTopic(6, 3, {"retention.ms": "1000", "cleanup.policy": "compact"})}
    assert plan_topics([WANTED], found).sentences() == []


def test_fewer_partitions_grow_and_settings_follow() -> None:
    """Each step is said in a line, for the dry run."""
    found = {"t": FoundTopic(4, 3, {"retention.ms": "5"})}
    assert plan_topics([WANTED], found).sentences() == ["grow t to 6 partitions", "set retention.ms=1000 on t"]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (FoundTopic(8, 3, {}), "t has 8 partitions and 6 are wanted"),
        (FoundTopic(6, 1, {}), "t has replication 1 and 3 is wanted"),
    ],
)
def test_the_impossible_stops_everything(found: FoundTopic, complaint: str) -> None:
    """Partitions never shrink and replicas are not moved; not even the possible half is done then."""
    with pytest.raises(SettingsError, match=complaint) as caught:
        plan_topics([WantedTopic("new", 1), WANTED], {"t": found})
    assert "Nothing was changed" in str(caught.value)


def test_replication_can_be_left_to_the_broker() -> None:
    """-1 is met by any."""
    assert plan_topics([WantedTopic("t", 6)], {"t": FoundTopic(6, 3, {})}) == Plan()
