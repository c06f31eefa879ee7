"""Numbers and tables as Markdown."""

from collections.abc import Iterable


def percent(value: float) -> str:
    """Format a share."""
    return "n/a" if value != value else f"{100 * value:.1f} %"  # noqa: PLR0124 - NaN differs from itself


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Format a Markdown table, numbers to the right."""
    names = list(header)
    lines = ["| " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) - 1)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
