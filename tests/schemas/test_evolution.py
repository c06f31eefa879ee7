"""Schemas evolve so that every version reads what every other wrote (`schemas/README.md`)."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.schemas.compatibility import unreadable
from worker.kafka.schema_registry import PublishedSchema, published_schemas

PAIRS = [
    (one, other)
    for one, other in itertools.permutations(published_schemas(), 2)
    if one.record == other.record  # each read by each: full, transitive
]
NEWEST = {each.record: each for each in published_schemas()}


def _name(value: object) -> str:
    assert isinstance(value, PublishedSchema)
    return f"{value.record}.v{value.version}"


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=_name)
def test_every_version_reads_every_other(writer: PublishedSchema, reader: PublishedSchema) -> None:
    """An old consumer reads new verdicts, a new one old verdicts, whatever versions lie between."""
    assert unreadable(json.loads(writer.text), json.loads(reader.text)) == []


@pytest.mark.parametrize("record", NEWEST)
def test_every_enum_can_grow(record: str) -> None:
    """Each enum has UNKNOWN as its first symbol and default, or no symbol could ever be added to it."""
    enums: list[Any] = []

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "enum":
                enums.append(schema)
            for part in schema.values():
                collect(part)
        elif isinstance(schema, list):
            for part in schema:
                collect(part)

    collect(json.loads(NEWEST[record].text))
    assert [(each["symbols"][0], each["default"]) for each in enums] == [("UNKNOWN", "UNKNOWN")] * len(enums)


def _add_required(schema: Any) -> None:
    schema["fields"].append({"name": "genre", "type": "string"})


def _remove_required(schema: Any) -> None:
    del schema["fields"][0]


def _retype(schema: Any) -> None:
    schema["fields"][2]["type"] = "int"


def _rename_record(schema: Any) -> None:
    schema["name"] = "Other"


def _rename_field(schema: Any) -> None:
    schema["fields"][0]["name"] = "identity"


def _enum_without_default(schema: Any) -> None:
    reason = next(field for field in schema["fields"] if field["name"] == "reason")
    del reason["type"]["default"]
    reason["type"]["symbols"].remove("SILENT")


@pytest.mark.parametrize(
    "change",
    [_add_required, _remove_required, _retype, _rename_record, _rename_field, _enum_without_default],
)
def test_forbidden_changes_are_found(change: Callable[[Any], None]) -> None:
    """The check itself sees each change that the rules forbid, in at least one direction."""
    old, new = (json.loads(NEWEST["verdict"].text) for _ in range(2))
    change(new)
    assert unreadable(old, new) + unreadable(new, old) != []


def _add_optional(schema: Any) -> None:
    schema["fields"].insert(3, {"name": "genre", "type": ["null", "string"], "default": None})


def _add_symbol(schema: Any) -> None:
    next(field for field in schema["fields"] if field["name"] == "reason")["type"]["symbols"].append("TOO_LOUD")


def _remove_optional(schema: Any) -> None:
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "isrc"]


@pytest.mark.parametrize("change", [_add_optional, _add_symbol, _remove_optional])
def test_allowed_changes_pass(change: Callable[[Any], None]) -> None:
    """What the rules allow is not refused."""
    old, new = (json.loads(NEWEST["verdict"].text) for _ in range(2))
    change(new)
    assert unreadable(old, new) + unreadable(new, old) == []
