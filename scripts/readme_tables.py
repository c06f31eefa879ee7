"""Bring what is made from the code up to date: `python -m scripts.readme_tables`.

That is the README's tables of settings and exit codes, the table in the chart's README,
the settings in the chart's schema, the table of metrics and the Grafana dashboard.
"""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from scripts.chart_readme import CHART, values_table
from scripts.chart_schema import SCHEMA, with_made_parts
from scripts.grafana_dashboard import DASHBOARD, dashboard
from scripts.metrics_page import PAGE, metrics_table
from worker.cli.exit_codes import MEANINGS
from worker.settings import Settings

README = Path(__file__).parent.parent / "README.md"
CHART_README = CHART / "README.md"


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    prefix = str(Settings.model_config["env_prefix"])
    rows = [
        f"| `{prefix}{name.upper()}` | {_default(field)} | {_cell(field.description or '')} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def exit_codes_table() -> str:
    """Return the exit codes as a Markdown table."""
    rows = [f"| {code.value} | {_cell(meaning)} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| code | meaning |", "|---:|---|", *rows])


def with_tables(readme: str) -> str:
    """Return the README with both tables made anew between their marks."""
    return _filled(readme, {"settings": settings_table(), "exit codes": exit_codes_table()})


def with_values(readme: str) -> str:
    """Return the chart's README with its table made anew between its marks."""
    return _filled(readme, {"values": values_table()})


def with_metrics(page: str) -> str:
    """Return the page of metrics with its table made anew between its marks."""
    return _filled(page, {"metrics": metrics_table()})


def _filled(readme: str, tables: dict[str, str]) -> str:
    for name, table in tables.items():
        begin, end = f"<!-- {name}: made by `make format` -->", f"<!-- end of {name} -->"
        parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", readme, flags=re.DOTALL)
        if len(parts) != 2:  # noqa: PLR2004 -- what stands before and after
            raise SystemExit(f"The page must hold the marks {begin!r} and {end!r} exactly once.")
        readme = f"{parts[0]}{begin}\n{table}\n{end}{parts[1]}"
    return readme


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return "–"  # noqa: RUF001 -- a dash for "none"
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    CHART_README.write_text(with_values(CHART_README.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(with_made_parts(SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(with_metrics(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    DASHBOARD.write_text(dashboard(), encoding="utf-8")
