"""Whether one Avro schema reads what another wrote: Avro's resolution rules, for the types our schemas use."""

from typing import Any, Final

# What a reader of the second type may be given.
_PROMOTED: Final = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}
_NAMED: Final = {"record", "enum", "fixed"}

Schema = Any


def unreadable(writer: Schema, reader: Schema) -> list[str]:
    """Say where `reader` can't read what `writer` wrote; empty where it can.  Both are parsed JSON."""
    return _Comparison(_named_types(writer), _named_types(reader)).differences(writer, reader, "")


class _Comparison:
    """Two schemas with the named types that each may name a second time."""

    def __init__(self, of_writer: dict[str, Schema], of_reader: dict[str, Schema]) -> None:
        self._of_writer = of_writer
        self._of_reader = of_reader

    def differences(self, writer: Schema, reader: Schema, place: str) -> list[str]:
        writer = self._of_writer.get(writer, writer) if isinstance(writer, str) else writer
        reader = self._of_reader.get(reader, reader) if isinstance(reader, str) else reader
        if isinstance(writer, list):
            return [each for branch in writer for each in self.differences(branch, reader, place)]
        if isinstance(reader, list):
            tried = [self.differences(writer, branch, place) for branch in reader]
            return [] if [] in tried else [f"{place}: no branch of the union takes {_kind(writer)}"]
        kinds = _kind(writer), _kind(reader)
        if kinds[0] != kinds[1]:
            return [] if kinds in _PROMOTED else [f"{place}: {kinds[0]} is no {kinds[1]}"]
        if kinds[0] in _NAMED and writer["name"] != reader["name"]:
            return [f"{place}: {writer['name']} is no {reader['name']}"]
        return self._inside(kinds[0], writer, reader, place)

    def _inside(self, kind: str, writer: Schema, reader: Schema, place: str) -> list[str]:
        if kind == "record":
            return self._fields(writer, reader, place)
        if kind == "enum":
            unknown = set(writer["symbols"]) - set(reader["symbols"])
            return [f"{place}: unknown symbols {sorted(unknown)}, no default"] * bool(
                unknown and "default" not in reader
            )
        if kind == "fixed":
            return [] if writer["size"] == reader["size"] else [f"{place}: other size"]
        if kind in {"array", "map"}:
            inner = "items" if kind == "array" else "values"
            return self.differences(writer[inner], reader[inner], f"{place}/{inner}")
        return []

    def _fields(self, writer: Schema, reader: Schema, place: str) -> list[str]:
        written = {field["name"]: field["type"] for field in writer["fields"]}
        found: list[str] = []
        for field in reader["fields"]:
            name = f"{place}/{field['name']}"
            if field["name"] in written:
                found += self.differences(written[field["name"]], field["type"], name)
            elif "default" not in field:
                found.append(f"{name}: not written, no default")
        return found


def _kind(schema: Schema) -> str:
    kind = schema if isinstance(schema, str) else schema["type"]
    return kind if isinstance(kind, str) else _kind(kind)


def _named_types(schema: Schema) -> dict[str, Schema]:
    if isinstance(schema, list):
        return {name: each for branch in schema for name, each in _named_types(branch).items()}
    if not isinstance(schema, dict):
        return {}
    own = {schema["name"]: schema} if schema.get("type") in _NAMED else {}
    inner = [
        schema.get("type"),
        schema.get("items"),
        schema.get("values"),
        *(f["type"] for f in schema.get("fields", ())),
    ]
    return own | {
        name: each for part in inner if not isinstance(part, str) for name, each in _named_types(part).items()
    }
