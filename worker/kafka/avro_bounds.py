"""What of a stranger's Avro schema is fit to be read with: types of the wire only, and bounded by the bytes.  Pure."""

from typing import Any


def without_logical_types(schema: Any) -> Any:
    """Copy an Avro schema, reduced to the types on the wire."""
    if isinstance(schema, list):
        return [without_logical_types(each) for each in schema]
    if isinstance(schema, dict):
        return {
            name: without_logical_types(value) if name in {"type", "fields", "items", "values"} else value
            for name, value in schema.items()
            if name != "logicalType"
        }
    return schema


def is_bounded(schema: Any, inside: tuple[str, ...] = ()) -> bool:
    """Whether what a schema decodes to is bounded by the bytes it is read from.

    A type that contains itself nests as deep as the sender likes, which the C reader does not survive.
    An array of items that take no bytes (null, empty records) holds as many as the sender claims.
    A named type used a second time counts as containing itself where it does, and not otherwise.
    """
    return _Bounds().is_bounded(schema, inside)


class _Bounds:
    """Named types met on the way, since a second use gives only the name."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}

    def is_bounded(self, schema: Any, inside: tuple[str, ...]) -> bool:
        if isinstance(schema, list):
            return all(self.is_bounded(each, inside) for each in schema)
        if isinstance(schema, str):
            return schema not in inside
        kind = schema["type"]
        if kind in {"record", "error"}:
            self._named[schema["name"]] = schema
            return all(self.is_bounded(field["type"], (*inside, schema["name"])) for field in schema["fields"])
        if kind == "array":
            return self.is_bounded(schema["items"], inside) and self._smallest(schema["items"]) > 0
        if kind in {"enum", "fixed"}:
            self._named[schema["name"]] = schema
        return self.is_bounded(schema["values"] if kind == "map" else kind, inside)

    def _smallest(self, schema: Any) -> int:
        """Least number of bytes a value takes, 0 or at least 1."""
        if isinstance(schema, list):
            return 1  # the branch's number
        if isinstance(schema, str):
            named = self._named.get(schema)
            return (0 if schema == "null" else 1) if named is None else self._smallest(named)
        kind = schema["type"]
        if kind in {"record", "error"}:
            return max((self._smallest(field["type"]) for field in schema["fields"]), default=0)
        if kind == "fixed":
            return min(int(schema["size"]), 1)
        return 1 if kind in {"array", "map", "enum"} else self._smallest(kind)
