"""The lag: counted from the first event without an outcome, markers left out at the end, gone with the partition."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from worker.kafka.budget import Budget
from worker.kafka.lag import Standing, lag, standings
from worker.kafka.lag_gauge import LagGauge
from worker.kafka.ledger import Ledger
from worker.metrics import LAG, PREFETCHED_BYTES
from worker.records import Coordinates

NOBODY_WAITS: Any = SimpleNamespace(first=lambda _partition: None)


def _statistics(**partition: int) -> str:
    known = {"ls_offset": 100, "app_offset": 40, "next_offset": 60, "fetchq_cnt": 20, "fetchq_size": 5000} | partition
    return json.dumps({"topics": {"t": {"partitions": {"0": known, "-1": known}}}})


def _shown() -> dict[tuple[str, str], float]:
    (family,) = LAG.collect()
    return {(each.labels["topic"], each.labels["partition"]): each.value for each in family.samples}


@pytest.mark.parametrize(
    ("partition", "first_open", "expected"),
    [
        ({}, None, 60),  # 20 fetched and 40 more
        ({}, 35, 65),  # five in flight
        ({"app_offset": 99, "next_offset": 100, "fetchq_cnt": 0}, None, 0),  # the rest is a transaction's marker
        ({"app_offset": 99, "next_offset": 100, "fetchq_cnt": 0}, 98, 2),
        ({"app_offset": -1001, "next_offset": 30}, None, 70),  # nothing polled yet
        ({"app_offset": 120, "next_offset": 120, "fetchq_cnt": 0}, None, 0),  # the end is that of the last fetch
    ],
)
def test_lag_is_what_has_no_committed_outcome(partition: dict[str, int], first_open: int | None, expected: int) -> None:
    """What the client calls its lag knows nothing of transactions, and what it has polled is not done."""
    assert lag(standings(_statistics(**partition))["t", 0], first_open) == expected


def test_unknown_places_are_left_out() -> None:
    """Before its first fetch a partition's end is not known; a wrong 0 would look like all is done."""
    assert standings(_statistics(ls_offset=-1)) == {}
    assert standings(_statistics(app_offset=-1001, next_offset=-1001)) == {}
    assert standings(_statistics()) == {("t", 0): Standing(100, 40, 5000)}


def test_the_gauge_follows_the_assignment() -> None:
    """A partition that went to another worker must not be shown by both."""
    ledger: Ledger[Any] = Ledger(Budget(10, 10**9, 0))
    gauge = LagGauge(ledger, NOBODY_WAITS)
    gauge.show(_statistics())
    assert ("t", "0") not in _shown()
    ledger.assign([("t", 0)])
    ledger.polled(Coordinates("t", 0, 38, datetime(2026, 1, 1, tzinfo=UTC)), 1)
    gauge.show(_statistics())
    assert _shown()["t", "0"] == 62
    assert PREFETCHED_BYTES._value.get() == 5000
    ledger.revoke([("t", 0)])
    gauge.show(_statistics())
    assert ("t", "0") not in _shown()


@pytest.mark.parametrize("statistics", ["", "[]", "{}", '{"topics": {"t": {"partitions": {"x": 1}}}}'])
def test_statistics_of_another_kind_do_no_harm(statistics: str) -> None:
    """They come on the poll thread: an exception there would end the worker."""
    LagGauge(Ledger(Budget(10, 10**9, 0)), NOBODY_WAITS).show(statistics)
