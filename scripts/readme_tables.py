"""Bring the README's tables of settings and exit codes up to date: `python -m scripts.readme_tables`."""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from worker.cli.exit_codes import MEANINGS
from worker.settings import Settings

README = Path(__file__).parent.parent / "README.md"


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
    for name, table in (("settings", settings_table()), ("exit codes", exit_codes_table())):
        begin, end = f"<!-- {name}: made by `make format` -->", f"<!-- end of {name} -->"
        parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", readme, flags=re.DOTALL)
        if len(parts) != 2:  # noqa: PLR2004 -- what stands before and after
            raise SystemExit(f"{README.name} must hold the marks {begin!r} and {end!r} exactly once.")
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
