"""The plan of faults."""

from itertools import islice

from tests.chaos.faults import LASTS_S, WEIGHTS, plan


def test_same_seed_same_plan() -> None:
    """A run can be repeated from its seed, and another seed makes another run."""
    assert list(islice(plan(7, 2.0), 50)) == list(islice(plan(7, 2.0), 50))
    assert list(islice(plan(7, 2.0), 50)) != list(islice(plan(8, 2.0), 50))


def test_every_fault_comes_before_any_comes_twice() -> None:
    """However short a run, it has as many kinds of faults as fit in, each as long as it may be."""
    first = list(islice(plan(7, 2.0), len(WEIGHTS)))
    assert {each.fault for each in first} == WEIGHTS.keys()
    for each in first:
        shortest, longest = LASTS_S.get(each.fault, (0, 0))
        assert shortest <= each.lasts_s <= longest
