"""The Grafana dashboard, made from `dashboard_panels`: `python -m scripts.readme_tables` writes it into the chart."""

import json
from typing import Any, Final

from scripts.chart_readme import CHART
from scripts.dashboard_panels import PER_SECOND, ROWS, Panel

DASHBOARD: Final = CHART / "dashboards" / "lossgate.json"

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHTS: Final = {"stat": 3, "timeseries": 8, "bargauge": 10}
_LEAST_TOP: Final = {PER_SECOND: 0.1, "short": 1}  # of an axis; Grafana's is 100 where all is 0
_WIDTH: Final = 24


def dashboard() -> str:
    """Return the dashboard as JSON."""
    panels: list[dict[str, Any]] = []
    top = 0
    for name, row in ROWS.items():
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": name, "collapsed": False, "gridPos": place, "panels": []}
        )
        top += 1
        left = height = 0
        for panel in row:
            if left + panel.width > _WIDTH:
                left, top = 0, top + height
            height = _HEIGHTS[panel.kind]
            place = {"h": height, "w": panel.width, "x": left, "y": top}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
            left += panel.width
        top += height
    made = {
        "uid": "lossgate",
        "title": "Lossgate",
        "description": "Deliveries in, verdicts out. Every metric: docs/metrics.md; what to do: docs/runbook.md.",
        "tags": ["lossgate"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _panel(panel: Panel) -> dict[str, Any]:
    is_now = panel.kind != "timeseries"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": is_now,
                "range": not is_now,
            }
            for number, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [] if panel.names_zeros else [_ZEROS_UNNAMED]},
        "options": _OPTIONS[panel.kind],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    for colour, value in (("orange", panel.warn_above), ("red", panel.alarm_above)):
        if value is not None:
            steps.append({"color": colour, "value": value})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.unit == "short":
        defaults["decimals"] = 0 if panel.kind != "timeseries" else None
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 0,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        }
        if panel.unit in _LEAST_TOP:
            defaults["custom"]["axisSoftMax"] = _LEAST_TOP[panel.unit]
    return {name: value for name, value in defaults.items() if value is not None}


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
        _label_variable("job", "Job", "label_values(lossgate_build_info, job)"),
        _label_variable("instance", "Worker", 'label_values(lossgate_build_info{job=~"$job"}, instance)'),
    ]


def _label_variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


_ZEROS_UNNAMED: Final = {
    "matcher": {"id": "byValue", "options": {"reducer": "allIsZero", "op": "gte", "value": 0}},
    "properties": [{"id": "custom.hideFrom", "value": {"legend": True, "tooltip": True, "viz": False}}],
}
_REDUCED: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "stat": {
        "reduceOptions": _REDUCED,
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        "text": {"titleSize": 14},
    },
    "bargauge": {"reduceOptions": _REDUCED, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}
