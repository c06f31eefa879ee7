"""Two sides' words on the same events."""

from worker.replay.comparison import Said, compare


def _said(decision: str, probability: float | None) -> Said:
    return Said("d", "p", decision, "LOSSY_TRACES", probability, None)


LEFT = {
    ("t", 0, 1): _said("accept", 0.1),
    ("t", 0, 2): _said("accept", 0.2),
    ("t", 0, 3): _said("review", None),
    ("t", 0, 4): _said("reject", 0.9),
}
RIGHT = {
    ("t", 0, 1): _said("reject", 0.95),
    ("t", 0, 2): _said("accept", 0.2),
    ("t", 0, 3): _said("reject", 0.9),
    ("t", 1, 9): _said("accept", 0.1),
}


def test_transitions_and_what_is_on_one_side_only() -> None:
    """Every event counts in exactly one place."""
    comparison = compare(LEFT.items(), RIGHT.items())
    assert comparison.transitions == {("accept", "reject"): 1, ("accept", "accept"): 1, ("review", "reject"): 1}
    assert [each.event for each in comparison.only_left] == [("t", 0, 4)]
    assert [each.event for each in comparison.only_right] == [("t", 1, 9)]
    assert comparison.both + 2 == len(comparison.pairs) == 5


def test_most_changed_first_and_the_unscored_not_at_all() -> None:
    """A change from no probability to some is no difference of probabilities."""
    most = compare(LEFT.items(), RIGHT.items()).most_changed(10)
    assert [each.event for each in most] == [("t", 0, 1)]


def test_the_last_word_counts() -> None:
    """A reader that sees an event's verdict twice must not count it twice."""
    twice = [(("t", 0, 1), _said("accept", 0.1)), (("t", 0, 1), _said("reject", 0.9))]
    assert compare(twice, RIGHT.items()).transitions == {("reject", "reject"): 1}
