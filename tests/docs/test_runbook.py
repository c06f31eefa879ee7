"""The runbook has a heading for each alert, and names what there is."""

import re
from pathlib import Path

from scripts.dashboard_panels import ROWS
from tests.helm.support import CHART
from worker.records import DeadLetterReason, Reason
from worker.settings import Settings

DOCS = Path(__file__).parent.parent.parent / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text(encoding="utf-8")
RULES = (CHART / "templates" / "prometheusrule.yaml").read_text(encoding="utf-8")
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "worker").rglob("*.py"))


def test_headings_are_the_alerts() -> None:
    """Whoever is woken at night follows the alert's link; it has to lead somewhere, and nothing may be left over."""
    alerts = re.findall(r'"name" "(Lossgate\w+)"', RULES)
    assert len(alerts) > 10
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == alerts
    sections = RUNBOOK.split("\n## ")[1:]
    for section in sections:
        assert all(f"**{part}.**" in section for part in ("Means", "Look", "Do")), section[:40]


def test_links_lead_somewhere() -> None:
    """Anchors are headings, files are there."""
    anchors = {heading.lower() for heading in re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) <= anchors
    assert [name for name in re.findall(r"\]\(([\w.]+\.md)\)", RUNBOOK) if not (DOCS / name).exists()] == []


def test_settings_reasons_panels_and_log_lines_exist() -> None:
    """Advice on a setting, panel or line that was renamed sends people the wrong way."""
    settings = {f"LOSSGATE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"`(LOSSGATE_\w+)`", RUNBOOK)) <= settings
    reasons = {reason.value for kind in (Reason, DeadLetterReason) for reason in kind}
    assert set(re.findall(r"`((?!LOSSGATE_)[A-Z]+(?:_[A-Z]+)*)`", RUNBOOK)) - {"REJECT"} <= reasons
    panels = {panel.title for row in ROWS.values() for panel in row} | set(ROWS)
    assert set(re.findall(r"(?<!\*)\*([A-Z][\w ]+)\*(?!\*)", RUNBOOK)) <= panels
    lines = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", RUNBOOK)) - {"delivery_id", "trace_id", "bandwidth_hz"}
    assert [line for line in lines if f'"{line}' not in SOURCES] == []
