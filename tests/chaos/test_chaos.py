"""A short chaos run; `make chaos` is the long one."""

from pathlib import Path

import pytest

from demo.kafka.local_kafka import LocalKafka
from tests.chaos.faults import Fault
from tests.chaos.run import ChaosRun, Group

SEED = 4
LEAST_FAULTS = 7
FAULTS = {Fault.KILL_WORKER: 3, Fault.FREEZE_WORKER: 2, Fault.STOP_WORKER: 1, Fault.KILL_BROKER: 1}


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_nothing_is_lost_doubled_misordered_or_stuck(tmp_path: Path) -> None:
    """Kills, stops and freezes of workers and broker under both group protocols: the audit of all topics is clean."""
    groups = [
        Group("classic", "classic", workers=2, deliveries=400),
        Group("kip848", "consumer", workers=2, deliveries=400),
    ]
    with LocalKafka() as kafka:
        run = ChaosRun(
            kafka,
            groups,
            seed=SEED,
            seconds=15,
            pause_s=1.5,
            calm_limit_s=90,
            folder=tmp_path,
            least_faults=LEAST_FAULTS,
            weights=FAULTS,
        )
        result = run.run()
    print(result.text())  # noqa: T201 -- shown when the test fails
    assert result.problems == []
    assert result.faults.total() >= LEAST_FAULTS
    assert [group.sent for group in result.groups] == [400, 400]
