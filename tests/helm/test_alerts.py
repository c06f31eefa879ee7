"""The alerts ask for what the workers count."""

import json
import re

from prometheus_client import REGISTRY

from scripts.grafana_dashboard import dashboard
from tests.helm.support import one, render
from worker import metrics
from worker.records import DeadLetterReason, Decision, Reason

METRIC = re.compile(r"\blossgate_[a-z_]+\b(?=\{)")


def _rules(case: str = "keda") -> dict[str, dict[str, object]]:
    (group,) = one(render(case), "PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def _series() -> set[str]:
    metrics.show_zeros()
    counted = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    declared = {family.name for family in REGISTRY.collect()}
    return counted | {f"{name}_total" for name in declared} | declared


def test_every_metric_exists() -> None:
    """An alert on a name that nobody counts is silent for ever."""
    named = {name for rule in _rules().values() for name in METRIC.findall(str(rule["expr"]))}
    assert len(named) > 5
    assert named <= _series()


def test_every_label_value_exists() -> None:
    """Likewise of a reason or a decision that was renamed."""
    text = " ".join(str(rule["expr"]) for rule in _rules().values())
    reasons = {name for group in re.findall(r'reason=~?"([A-Z_|]+)"', text) for name in group.split("|")}
    assert reasons
    assert reasons <= {reason.value for kind in (Reason, DeadLetterReason) for reason in kind}
    assert set(re.findall(r'decision="([A-Z]+)"', text)) <= {decision.value for decision in Decision}
    # What a review verdict says of the network's own doubt is no failure to fetch or decode.
    assert {"UNCERTAIN", "BANDWIDTH_TOO_LOW", "SILENT", "TOO_SHORT"}.isdisjoint(reasons)


def test_alerts_that_were_promised_are_there() -> None:
    """Each says how bad it is, what it means, and where the runbook is; the lag comes from where the values say."""
    rules = _rules()
    assert rules.keys() >= {
        "LossgateLag",
        "LossgatePartitionStuck",
        "LossgatePartitionsUnassigned",
        "LossgateDeadLetters",
        "LossgateReviewShare",
        "LossgateRegistryAway",
        "LossgateDecodeFailures",
        "LossgateRejectShareMoved",
    }
    for name, rule in rules.items():
        labels, notes = rule["labels"], rule["annotations"]
        assert isinstance(labels, dict)
        assert isinstance(notes, dict)
        assert (labels["severity"] in {"warning", "critical"}, labels["team"]) == (True, "ingest")
        assert notes["summary"]
        assert notes["runbook_url"] == f"https://example.com/runbook#{name.lower()}"
    assert "keda_scaler_metrics_value" in str(rules["LossgateLag"]["expr"])
    assert "LossgateLag" not in _rules("hpa")


def test_alerts_ask_for_the_job_that_the_monitor_makes() -> None:
    """The operator names a PodMonitor's job namespace/name; another release's workers don't count."""
    objects = render("keda")
    monitor = one(objects, "PodMonitor")["metadata"]
    job = f'job="{monitor["namespace"]}/{monitor["name"]}"'
    for rule in _rules().values():
        for selector in re.findall(r"lossgate_[a-z_]+\{([^}]*)\}", str(rule["expr"])):
            assert job in selector


def test_the_dashboard_is_shipped_as_it_is() -> None:
    """Helm must not read Grafana's `{{label}}` as its own, nor lose a line; off unless it is asked for."""
    shipped = one(render("keda"), "ConfigMap", "-dashboard")
    assert json.loads(shipped["data"]["lossgate.json"]) == json.loads(dashboard())
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert shipped["metadata"]["annotations"] == {"grafana_folder": "Ingest"}
    assert not [each for each in render("hpa") if each["metadata"]["name"].endswith("-dashboard")]
