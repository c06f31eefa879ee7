"""The table of `docs/metrics.md`, made from `worker/metrics.py`."""

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from worker import metrics

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"


def declared() -> list[MetricWrapperBase]:
    """Every metric, in the order of the file."""
    return [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


def shown_name(metric: MetricWrapperBase) -> str:
    """Return the name a scrape shows."""
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)  # noqa: SLF001 -- no other way


def metrics_table() -> str:
    """Return the metrics as a Markdown table."""
    rows = []
    for each in declared():
        labels = ", ".join(f"`{label}`" for label in each._labelnames) or "–"  # noqa: RUF001, SLF001 -- a dash for "none"
        meaning = each._documentation.replace("|", "\\|")  # noqa: SLF001 -- no other way
        rows.append(f"| `{shown_name(each)}` | {each._type} | {labels} | {meaning} |")  # noqa: SLF001 -- the same
    return "\n".join(["| name | kind | labels | meaning |", "|---|---|---|---|", *rows])
