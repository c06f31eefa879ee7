"""Names from events as metric labels."""

from worker.bounded_labels import BoundedLabels


def test_names_beyond_the_bound_share_a_label() -> None:
    """A sender who makes names up can't make time series without end; those already known keep theirs."""
    labels = BoundedLabels(2)
    assert [labels.label(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


def test_labels_are_short_and_printable() -> None:
    """A name chosen outside can neither break a line of the exposition nor fill it."""
    labels = BoundedLabels(2)
    assert labels.label("x\ny") == "x\\x0ay"
    assert len(labels.label("n" * 1_000)) == 64
