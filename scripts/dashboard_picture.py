"""Draw the dashboard's panels from a running Prometheus: `python -m scripts.dashboard_picture URL OUT.png [MINUTES]`.

This is matplotlib's picture of what the queries return, not a screenshot of Grafana: it shows that every query parses
and brings data, and what the panels say, where no Grafana can be run.  Ends with 1 if a query returns nothing.
"""

import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from scripts.dashboard_panels import ROWS, Panel

_STEP_S: Final = 5
_INTERVAL: Final = "1m"  # what Grafana would put for $__rate_interval at a scrape every 5 to 15 s
_COLUMNS: Final = 24
_BAR_NAMES: Final = 3  # columns
_FEW: Final = 3  # series that are named even if they are 0 all the time
_WIDTH_INCHES, _INCHES, _STAT_INCHES = 20, 3.2, 1.3


def main() -> int:
    """Draw; returns the exit code."""
    url, out = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    minutes = float(sys.argv[3]) if sys.argv[3:] else 10.0
    end = time.time()
    lines = [line for name, row in ROWS.items() for line in _lines(name, row)]
    heights = [_STAT_INCHES if line[1][0].kind == "stat" else _INCHES for line in lines]
    figure = plt.figure(figsize=(_WIDTH_INCHES, sum(heights)))
    places = {"left": 0.045, "right": 0.99, "top": 0.985, "bottom": 0.02, "hspace": 0.45, "wspace": 4.0}
    grid = figure.add_gridspec(len(lines), _COLUMNS, height_ratios=heights, **places)
    silent: list[str] = []
    for number, (name, panels) in enumerate(lines):
        left = 0
        for panel in panels:
            # Names of bars stand to their left.
            indent = _BAR_NAMES if panel.kind == "bargauge" else 0
            axes = figure.add_subplot(grid[number, left + indent : left + panel.width])
            if left == 0 and name and panel.kind != "stat":
                axes.set_title(name, loc="left", fontweight="bold", x=-0.05)
            left += panel.width
            if not _draw(axes, panel, url, end, minutes):
                silent.append(panel.title)
    figure.savefig(out, dpi=80)
    print(f"{sum(map(len, ROWS.values()))} panels; without data: {', '.join(silent) or 'none'}")  # noqa: T201 -- its result
    return bool(silent)


def _lines(name: str, row: tuple[Panel, ...]) -> list[tuple[str, list[Panel]]]:
    """Lay a row out in lines of 24 columns; the first one carries its name."""
    lines: list[tuple[str, list[Panel]]] = [(name, [])]
    for panel in row:
        if sum(each.width for each in lines[-1][1]) + panel.width > _COLUMNS:
            lines.append(("", []))
        lines[-1][1].append(panel)
    return lines


def _draw(axes: Axes, panel: Panel, url: str, end: float, minutes: float) -> bool:
    """Draw one panel; False if it has no data at all."""
    axes.set_title(panel.title, fontsize=10)
    series: list[tuple[str, list[tuple[float, float]]]] = []
    for expression, legend in panel.queries:
        query = expression.replace("$__rate_interval", _INTERVAL).replace("$__range", f"{round(minutes)}m")
        query = query.replace("$job", ".*").replace("$instance", ".*")
        for found in _ask(url, query, end, minutes, is_range=panel.kind == "timeseries"):
            label = re.sub(r"\{\{(\w+)\}\}", lambda match: found["metric"].get(match[1], ""), legend)  # noqa: B023 -- used at once
            series.append((label, [(float(at), float(value)) for at, value in found["values"]]))
    if panel.kind == "stat":
        axes.axis("off")
        shown = " + ".join(_shown(points[-1][1], panel.unit) for _, points in series) or "no data"
        axes.text(0.5, 0.4, shown, ha="center", va="center", fontsize=24, color="tab:green")
    elif panel.kind == "bargauge":
        series.sort(key=lambda each: each[1][-1][1])
        axes.barh([label for label, _ in series], [points[-1][1] for _, points in series], color="tab:green")
        axes.tick_params(labelsize=8)
    else:
        _draw_lines(axes, panel, series, end)
    return bool(series)


def _draw_lines(axes: Axes, panel: Panel, series: list[tuple[str, list[tuple[float, float]]]], end: float) -> None:
    times = sorted({at for _, points in series for at, _ in points})
    minutes = [(at - end) / 60 for at in times]
    values = {label: [dict(points).get(at, math.nan) for at in times] for label, points in series}
    if panel.stacked:
        axes.stackplot(
            minutes,
            [[0 if math.isnan(each) else each for each in line] for line in values.values()],
            labels=list(values),
            alpha=0.6,
        )
    else:
        for label, line in values.items():
            is_zero = not any(each > 0 for each in line)
            axes.plot(minutes, line, label="_" if is_zero and len(values) > _FEW else label, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_xlim(minutes[0] if minutes else -1, 0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, panel.unit)))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, ncols=2, loc="upper left", framealpha=0.6)


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "–"  # noqa: RUF001 -- a dash for "none"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    if unit == "percentunit":
        return f"{value:.0%}"
    return f"{value:.3g}" + {"s": " s", "cps": "/s"}.get(unit, "")


def _ask(url: str, query: str, end: float, minutes: float, *, is_range: bool) -> list[dict[str, Any]]:
    asked: dict[str, object] = {"query": query}
    asked |= {"start": end - 60 * minutes, "end": end, "step": _STEP_S} if is_range else {"time": end}
    where = f"{url}/api/v1/{'query_range' if is_range else 'query'}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(where, timeout=30) as answer:  # noqa: S310 -- the address given on the command line
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result if is_range else [{**each, "values": [each["value"]]} for each in result]


if __name__ == "__main__":
    sys.exit(main())
