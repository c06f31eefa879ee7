"""The Grafana dashboard: made from the code, asks for what is counted, and every query parses."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from scripts.grafana_dashboard import DASHBOARD, dashboard
from worker import metrics
from worker.records import Decision, Reason

MADE: dict[str, Any] = json.loads(dashboard())
PANELS = [panel for panel in MADE["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_the_chart_s_file_equals_the_code() -> None:
    """`make format` brings it up to date."""
    assert dashboard() == DASHBOARD.read_text(encoding="utf-8")


def test_every_metric_and_label_exists() -> None:
    """A panel on a name or label that nobody counts is empty for ever."""
    metrics.show_zeros()
    known = {
        f"{family.name}{ending}"
        for family in REGISTRY.collect()
        for ending in ("", "_total", "_sum", "_count", "_bucket")
    }
    named = set(re.findall(r"\b((?:lossgate|process)_\w+)\{", " ".join(QUERIES)))
    assert len(named) > 20
    assert named <= known
    labels = {label for each in vars(metrics).values() for label in getattr(each, "_labelnames", ())}
    grouped = {
        label.strip() for group in re.findall(r"by \(([^)]*)\)", " ".join(QUERIES)) for label in group.split(",")
    }
    assert grouped <= labels | {"instance", "le"}
    reasons = {name for group in re.findall(r'reason=~"([A-Z_|]+)"', " ".join(QUERIES)) for name in group.split("|")}
    assert reasons <= {reason.value for reason in Reason}
    assert set(re.findall(r'decision="(\w+)"', " ".join(QUERIES))) <= {decision.value for decision in Decision}


def test_what_was_asked_for_is_shown() -> None:
    """Every metric of outcomes, lag, waiting and resources has its panel."""
    shown = " ".join(QUERIES)
    internal = {
        "lossgate_last_poll_timestamp_seconds",  # the gap says it
        "lossgate_model_info",
        "lossgate_registry_failures",  # what waits for it is shown
        "lossgate_replay_offsets_done",  # the dashboard is the workers'
        "lossgate_replay_offsets_planned",
    }
    declared = {each._name for each in vars(metrics).values() if hasattr(each, "_labelnames")}
    assert {name for name in declared if name not in shown} == internal


def test_legends_name_labels_that_are_there() -> None:
    """`{{reason}}` of a query that sums the reasons away would be shown as it is."""
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                groups = re.findall(r"by \(([^)]*)\)", target["expr"])
                assert any(label in group for group in groups), panel["title"]


def test_titles_fit_their_panels() -> None:
    """Grafana cuts what is too long: "Verdicts …" over a number says nothing on a laptop's screen."""
    for panel in PANELS:
        assert len(panel["title"]) <= 3.4 * panel["gridPos"]["w"], panel["title"]


def test_panels_lie_side_by_side() -> None:
    """Grafana pushes panels that overlap somewhere else; ids must differ."""
    assert len({panel["id"] for panel in MADE["panels"]}) == len(MADE["panels"])
    for one, other in itertools.combinations([panel["gridPos"] for panel in MADE["panels"]], 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below
        assert one["x"] + one["w"] <= 24


def test_every_query_parses(tmp_path: Path) -> None:
    """By Prometheus's own parser."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$__range", "1h")}
        for number, query in enumerate(QUERIES)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout
