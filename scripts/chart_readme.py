"""The table of values in the chart's README, made from the comments of values.yaml."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent.parent / "helm" / "lossgate"
VALUES: Final = CHART / "values.yaml"

_KEY: Final = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z0-9_.\-/]+):")
_COMMENT: Final = re.compile(r"^ *# ?(?P<first>-- )?(?P<text>.*)$")


def described(text: str) -> dict[str, str]:
    """Return the description of each value that has one: path → text of the comment that begins with `--`."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    words: list[str] = []
    for line in text.splitlines():
        if (comment := _COMMENT.match(line)) and (comment["first"] or words):
            words.append(comment["text"].strip())
        elif key := _KEY.match(line):
            indent = len(key["indent"])
            path = [*((at, name) for at, name in path if at < indent), (indent, key["name"])]
            if words:
                found[".".join(name for _, name in path)] = " ".join(words)
            words = []
        else:
            words = []
    return found


def undescribed(values: dict[str, Any], descriptions: dict[str, str], path: str = "") -> Iterator[str]:
    """Paths of values that neither have a description nor lie below one that has."""
    for name, value in values.items():
        here = f"{path}{name}"
        if here in descriptions:
            continue
        if isinstance(value, dict) and value:
            yield from undescribed(value, descriptions, f"{here}.")
        else:
            yield here


def values_table() -> str:
    """Return the values as a Markdown table, in the order of the file."""
    text = VALUES.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = [f"| `{path}` | {_default(_at(values, path))} | {_cell(words)} |" for path, words in described(text).items()]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def _at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


def _default(value: Any) -> str:
    if value in ("", {}, []):
        return "–"  # noqa: RUF001 -- a dash for "none"
    text = yaml.safe_dump(value, default_flow_style=True, width=1_000).strip().removesuffix("...").strip()
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
