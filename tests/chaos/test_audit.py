"""The audit finds what it is for: each fault, injected into a clean observation, is named, and nothing else is."""

from dataclasses import replace

import pytest

from tests.chaos.audit import Event, Kind, Observation, Outcome, Postponed, audit

TOPIC = "in"


def clean() -> Observation:
    """Two partitions of five events, judged in order; the last event of each is no event anybody can read."""
    events = [
        Event((TOPIC, partition, offset), f"e-{partition}-{offset}", Kind.DEAD_LETTER if offset == 4 else Kind.VERDICT)
        for partition in range(2)
        for offset in range(5)
    ]
    outcomes = [
        Outcome(event.place, event.expected, partition=0, offset=2 * event.place[2] + event.place[1])
        for event in events
    ]
    return Observation(
        {event.name for event in events},
        events,
        outcomes,
        {(TOPIC, 0): 5, (TOPIC, 1): 5},
        [{(TOPIC, 0): 0}, {(TOPIC, 0): 3, (TOPIC, 1): 2}],
    )


def test_clean_run_has_no_findings() -> None:
    """Nothing is reported where nothing is wrong."""
    assert audit(clean()).is_clean


def _only(seen: Observation, what: str) -> list[str]:
    found = audit(seen)
    assert {name for name, count in found.counts().items() if count} == {what}
    sentences: list[str] = getattr(found, what)
    return sentences


def test_outcome_that_is_missing_is_a_loss() -> None:
    """An event without outcome was lost, though its offset was committed."""
    seen = clean()
    assert _only(replace(seen, outcomes=seen.outcomes[1:]), "lost") == ["e-0-0 at in/0/0 has no outcome"]


def test_acknowledged_event_that_vanished_is_a_loss() -> None:
    """What the brokers acknowledged has to be in the topic."""
    seen = clean()
    assert _only(replace(seen, acknowledged={*seen.acknowledged, "gone"}), "lost") == [
        "gone was acknowledged and is not in its topic"
    ]


@pytest.mark.parametrize("kind", Kind)
def test_second_outcome_is_a_duplicate(kind: Kind) -> None:
    """Two verdicts are one too many, and so are a verdict and a dead letter."""
    seen = clean()
    second = Outcome((TOPIC, 1, 3), kind, partition=1, offset=0)
    assert _only(replace(seen, outcomes=[*seen.outcomes, second]), "duplicated") == ["e-1-3 at in/1/3 has 2 outcomes"]


def test_outcomes_the_other_way_round_are_misordered() -> None:
    """Two events of one partition, swapped in one partition of the verdicts."""
    seen = clean()
    first, second, *others = seen.outcomes
    swapped = [replace(first, offset=second.offset), replace(second, offset=first.offset)]
    assert _only(replace(seen, outcomes=[*swapped, *others]), "misordered") == [
        "the verdict of in/0/0 stands after that of offset 1"
    ]


def test_different_partitions_and_topics_promise_no_order() -> None:
    """Across partitions, and between verdicts and dead letters, no order is promised, so none is missed."""
    seen = clean()
    moved = [
        replace(each, partition=1, offset=100 - each.offset) if each.kind is Kind.DEAD_LETTER else each
        for each in seen.outcomes
    ]
    moved[0] = replace(moved[0], partition=3, offset=999)
    assert audit(replace(seen, outcomes=moved)).is_clean


def test_commit_that_goes_back_is_misordered() -> None:
    """The offset of a partition only ever rises."""
    seen = clean()
    history = [*seen.commit_history, {(TOPIC, 0): 2}]
    assert _only(replace(seen, commit_history=history), "misordered") == ["the offset of in/0 went back: 3 to 2"]


def test_event_behind_the_committed_offset_is_stuck() -> None:
    """At the end the offsets have passed every event; a partition that never was committed is stuck from its start."""
    seen = clean()
    assert len(_only(replace(seen, committed={(TOPIC, 0): 5, (TOPIC, 1): 3}), "stuck")) == 2
    assert len(_only(replace(seen, committed={(TOPIC, 0): 5}, commit_history=()), "stuck")) == 5


def test_wrong_end_is_a_mistake() -> None:
    """Garbage that got a verdict, and an outcome of an event that never was."""
    seen = clean()
    wrong = [
        replace(each, kind=Kind.DEAD_LETTER, partition=7) if each.source == (TOPIC, 0, 2) else each
        for each in seen.outcomes
    ]
    assert _only(replace(seen, outcomes=wrong), "mistaken") == ["e-0-2 ended as dead letter, not as verdict"]
    ghost = Outcome((TOPIC, 0, 77), Kind.VERDICT, partition=2, offset=0)
    assert _only(replace(seen, outcomes=[*seen.outcomes, ghost]), "mistaken") == [
        "an outcome names in/0/77, where no event is"
    ]


def test_postponed_event_may_come_late_but_once_and_not_never() -> None:
    """An event that went through the retries topic is out of order by right; each of its tries stands there once."""
    seen = clean()
    first, second, *others = seen.outcomes
    swapped = [replace(first, offset=second.offset), replace(second, offset=first.offset), *others]
    tries = [Postponed(("retries", 0, number), first.source, number + 1) for number in range(2)]
    done = {**seen.committed, ("retries", 0): 2}
    assert audit(replace(seen, outcomes=swapped, postponed=tries, committed=done)).is_clean
    assert _only(replace(seen, postponed=tries, committed={**done, ("retries", 0): 1}), "stuck") == [
        "try 2 of in/0/0 lies behind the committed offset"
    ]
    twice = [replace(each, attempt=1) for each in tries]
    assert _only(replace(seen, postponed=twice, committed=done), "duplicated") == [
        "the event at in/0/0 was postponed 2 times for its try 1"
    ]
