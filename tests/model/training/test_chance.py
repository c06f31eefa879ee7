"""The order that every step shares."""

from model.training.chance import fair_order


def test_the_order_is_the_one_of_the_searches_that_were_made() -> None:
    """Guards results on disk: searches and trials of the first N tracks must be of the same tracks for ever."""
    assert fair_order(range(60))[:6] == [43, 35, 54, 37, 49, 8]
    assert sorted(fair_order(range(60))) == list(range(60))
