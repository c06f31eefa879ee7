"""Each alert fires when it should, and none on a quiet day: promtool's rule tests, skipped where there is no promtool.

It comes with Prometheus (Debian's package `prometheus` has it).
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.support import one, render

# Series of one worker of the release: name and labels → how it goes on, see `_values`.
Series = dict[str, tuple[float, float] | tuple[float, float, float, float]]

STEP_M = 5  # minutes between two samples
SHORT_M, LONG_M = 8 * 60, 9 * 24 * 60  # minutes; a share that moved is seen against a week
FAULT_M = 120  # the last two hours are different

# Value at the start and rise with each sample; for the last two hours, if they are different, the same again.
QUIET: Series = {
    'lossgate_assigned_partitions{topic="lossgate.deliveries"}': (12, 0),
    'lossgate_assigned_partitions{topic="lossgate.deliveries.retries"}': (12, 0),
    "lossgate_oldest_unsettled_seconds{}": (4, 0),
    "lossgate_waiting_for_registry{}": (0, 0),
    "lossgate_brake_engaged{}": (0, 0),
    "lossgate_events_polled_total{}": (0, 500),
    'lossgate_dead_letters_total{reason="UNDECODABLE"}': (0, 0),
    'lossgate_dead_letters_total{reason="QUARANTINED"}': (0, 0),
    'lossgate_dead_letters_total{reason="INTERNAL_ERROR"}': (0, 0),
    'lossgate_decisions_total{decision="ACCEPT",reason="NO_LOSSY_TRACES"}': (0, 450),
    'lossgate_decisions_total{decision="REJECT",reason="LOSSY_TRACES"}': (0, 25),
    'lossgate_decisions_total{decision="REVIEW",reason="UNCERTAIN"}': (0, 20),
    'lossgate_decisions_total{decision="REVIEW",reason="CORRUPT"}': (0, 5),
    'lossgate_decisions_total{decision="REVIEW",reason="NOT_FOUND"}': (0, 0),
    'lossgate_decisions_total{decision="REVIEW",reason="INTERNAL_ERROR"}': (0, 0),
    'lossgate_provider_decisions_total{provider="a",decision="ACCEPT"}': (0, 45),
    'lossgate_provider_decisions_total{provider="a",decision="REJECT"}': (0, 5),
    'lossgate_provider_decisions_total{provider="b",decision="ACCEPT"}': (0, 45),
    'lossgate_transactions_total{result="committed"}': (0, 300),
    'lossgate_transactions_total{result="aborted"}': (0, 0),
}
LAG = 'keda_scaler_metrics_value{scaledObject="gate-1-lossgate",exported_namespace="ingest"}'

FAULTS: dict[str, Series] = {
    "LossgateLag": {LAG: (0, 0, 9000, 0)},
    "LossgatePartitionsUnassigned": {'lossgate_assigned_partitions{topic="lossgate.deliveries"}': (12, 0, 11, 0)},
    "LossgatePartitionStuck": {"lossgate_oldest_unsettled_seconds{}": (4, 0, 1000, 300)},
    "LossgateRegistryAway": {"lossgate_waiting_for_registry{}": (0, 0, 2, 0)},
    "LossgateDeadLetters": {'lossgate_dead_letters_total{reason="UNDECODABLE"}': (0, 0, 0, 25)},
    "LossgateReviewShare": {'lossgate_decisions_total{decision="REVIEW",reason="UNCERTAIN"}': (0, 0, 0, 450)},
    "LossgateDecodeFailures": {'lossgate_decisions_total{decision="REVIEW",reason="CORRUPT"}': (0, 0, 0, 50)},
    "LossgateFetchFailures": {'lossgate_decisions_total{decision="REVIEW",reason="NOT_FOUND"}': (0, 0, 0, 50)},
    # A provider that never had a rejection: more than half of the last two hours' are.
    "LossgateRejectShareMoved": {
        'lossgate_provider_decisions_total{provider="b",decision="REJECT"}': (0, 0, 0, 200),
    },
    "LossgateTransactionsAborted": {'lossgate_transactions_total{result="aborted"}': (0, 0, 0, 300)},
    "LossgateQuarantined": {'lossgate_dead_letters_total{reason="QUARANTINED"}': (0, 0, 0, 1)},
    "LossgateBrakeEngaged": {"lossgate_brake_engaged{}": (0, 0, 1, 0)},
    "LossgateInternalErrors": {
        'lossgate_decisions_total{decision="REVIEW",reason="INTERNAL_ERROR"}': (0, 0, 0, 1),
    },
}


def _values(course: Sequence[float], length_m: int) -> str:
    """In promtool's notation: `start+rise x times`, joined."""
    first, rise, *later = course
    pieces = [f"{first:g}+{rise:g}x{(length_m - FAULT_M) // STEP_M - 1}"]
    pieces.append(
        "{:g}+{:g}x{}".format(*(later or (first + rise * ((length_m - FAULT_M) // STEP_M), rise)), FAULT_M // STEP_M)
    )
    return " ".join(pieces)


def _rules() -> dict[str, Any]:
    return {"groups": one(render("keda"), "PrometheusRule")["spec"]["groups"]}


def _with_target(name: str, job: str = "ingest/gate-1-lossgate") -> str:
    """Series as Prometheus stores it: with the labels of the scrape, where it is one of ours."""
    if not name.startswith("lossgate_") or "job=" in name:
        return name
    metric, _, labels = name.rstrip("}").partition("{")
    return f'{metric}{{{labels}{"," if labels else ""}namespace="ingest",job="{job}",pod="gate-1-x"}}'


def _run(tmp_path: Path, series: Series, firing: str | None, length_m: int) -> None:
    expected = [] if firing is None else [{"labels": f'{{alertname="{firing}"}}', "value": 1}]
    test = {
        "interval": f"{STEP_M}m",
        "input_series": [
            {"series": _with_target(name), "values": _values(course, length_m)} for name, course in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{length_m}m",
                "exp_samples": expected,
            }
        ],
    }
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(_rules()), encoding="utf-8")
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "15m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "test.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_quiet_day(tmp_path: Path) -> None:
    """With ordinary traffic nobody is woken."""
    _run(tmp_path, QUIET, None, LONG_M)


def test_a_replay_wakes_nobody_and_hides_nothing(tmp_path: Path) -> None:
    """Its job fails where it does; what it judges again, from a bad week, is no news of live work.

    And the partitions it holds are not the live group's: those without a worker are told of all the same.
    """
    job = "ingest/gate-1-lossgate-replay"
    bad = {name: course for fault in FAULTS.values() for name, course in fault.items() if name != LAG}
    replay = {_with_target(name, job): course for name, course in (QUIET | bad).items()}
    unassigned = FAULTS["LossgatePartitionsUnassigned"]
    _run(tmp_path, QUIET | replay, None, SHORT_M)
    _run(tmp_path, QUIET | replay | unassigned, "LossgatePartitionsUnassigned", SHORT_M)


@pytest.mark.parametrize("alert", FAULTS)
def test_alert_fires(tmp_path: Path, alert: str) -> None:
    """Its fault makes it fire, and no other one."""
    _run(tmp_path, QUIET | FAULTS[alert], alert, LONG_M if alert == "LossgateRejectShareMoved" else SHORT_M)


def test_every_alert_has_its_fault() -> None:
    """A new alert comes with a case here."""
    (group,) = _rules()["groups"]
    assert {rule["alert"] for rule in group["rules"]} == FAULTS.keys()
