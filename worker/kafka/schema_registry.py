"""The Schema Registry, or the package's own schemas in its place, behind one client."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from worker.exceptions import BadEventError, SettingsError, TransientError
from worker.records import DeadLetterReason
from worker.settings import Settings

_NOT_FOUND: Final = 404
_SCHEMA_NOT_FOUND: Final = {40403, 40400}  # the registry's code, and the one of Confluent's mock client
_REMEMBERED: Final = 1_000  # schemas by id, known and unknown
# A look-up runs on the poll thread; the intake tries again by itself, so the client does not.
_CLIENT_DEFAULTS: Final = {"timeout": 2.0, "max.retries": 0}
# Properties the client insists on getting as numbers.
_NUMBERS: Final = {"timeout", "max.retries", "retries.wait.ms", "retries.max.wait.ms"}
# Properties of Confluent's Avro serializer rather than of the client.
SERIALIZER_PROPERTIES: Final = ("auto.register.schemas", "normalize.schemas", "use.latest.version")


@dataclass(frozen=True, slots=True)
class PublishedSchema:
    """One entry of `schemas/catalogue.json`."""

    schema_id: int
    record: str
    version: int
    text: str


def published_schemas() -> list[PublishedSchema]:
    """Every schema ever published, in the order of their ids."""
    folder = files("schemas")
    entries = json.loads((folder / "catalogue.json").read_text("utf-8"))
    return [
        PublishedSchema(each["id"], each["record"], each["version"], (folder / each["file"]).read_text("utf-8"))
        for each in sorted(entries, key=lambda entry: entry["id"])
    ]


def newest_schema(record: str) -> PublishedSchema:
    """Newest published version of one record's schema."""
    return max((each for each in published_schemas() if each.record == record), key=lambda each: each.version)


def connect(settings: Settings, topics: dict[str, str]) -> SchemaRegistryClient:
    """Client of the configured registry; without one, an in-process client that knows the catalogue's schemas.

    Args:
        settings: where the registry is.
        topics: topic of each record, for the subjects.

    Raises:
        SettingsError: a property of the registry client is wrong, or the catalogue's ids have a gap.
    """
    url = settings.schema_registry_url
    if url is not None and not url.startswith("mock://"):
        try:
            properties = {
                name: float(secret.get_secret_value()) if name in _NUMBERS else secret.get_secret_value()
                for name, secret in settings.schema_registry_properties.items()
                if name not in SERIALIZER_PROPERTIES
            }
            return SchemaRegistryClient.new_client({**_CLIENT_DEFAULTS, "url": url, **properties})
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"LOSSGATE_SCHEMA_REGISTRY_URL or LOSSGATE_SCHEMA_REGISTRY_PROPERTIES can't work: {error}"
            ) from None
    client = SchemaRegistryClient.new_client({"url": "mock://lossgate"})
    for each in published_schemas():
        schema_id = client.register_schema(f"{topics[each.record]}-value", Schema(each.text, "AVRO"))
        if schema_id != each.schema_id:
            raise SettingsError(f"schemas/catalogue.json must number its schemas 1, 2, 3, …: {each.schema_id} is out.")
    return client


def serializer_properties(settings: Settings) -> dict[str, bool]:
    """Pick the serializer's properties out of those the user set."""
    return {
        name: settings.schema_registry_properties[name].get_secret_value().strip().lower() == "true"
        for name in SERIALIZER_PROPERTIES
        if name in settings.schema_registry_properties
    }


class WriterSchemas:
    """Schemas by the id events carry, parsed, without logical types, and fit to be read from strangers.

    Logical types are left out so that a value which makes no sense (a UUID that is none) can be told
    from bytes that are no Avro at all; whoever builds the records converts and checks the values.

    Args:
        client: the registry.
    """

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client
        self._known: dict[int | str, Any] = {}

    def get(self, identity: int | str, record: str) -> Any:
        """Parsed schema with this id (or GUID), of this record and no other.

        Raises:
            BadEventError: there is no such schema, or it is one of something else.
            TransientError: the registry could not be asked.
        """
        found = self._known.get(identity)
        if found is None:
            found = self._look_up(identity)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[identity] = found
        if isinstance(found, BadEventError):
            raise BadEventError(found.reason, found.detail)
        name = found["name"]
        if name != record:
            raise BadEventError(DeadLetterReason.UNKNOWN_SCHEMA, f"Schema {identity} is of {name}, not of {record}.")
        return found

    def _look_up(self, identity: int | str) -> Any:
        """Ask the registry; what it says for good is remembered, the error of an unknown schema too."""
        try:
            if isinstance(identity, int):
                schema = self._client.get_schema(identity)
            else:
                schema = self._client.get_schema_by_guid(identity)
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND and error.error_code in _SCHEMA_NOT_FOUND:
                return _unknown(identity, "is not known to the registry")
            raise TransientError(f"The schema registry refused to give schema {identity}: {error}") from error
        except Exception as error:  # the client lets whatever its HTTP library raises through
            raise TransientError(f"The schema registry did not answer: {error!r}") from error
        if (schema.schema_type or "AVRO") != "AVRO" or schema.references or not schema.schema_str:
            return _unknown(identity, "is not one self-contained Avro schema")
        try:
            plain = without_logical_types(json.loads(schema.schema_str))
            parsed = fastavro.parse_schema(plain)
        except Exception:  # noqa: BLE001 -- a schema from outside; whatever is wrong with it, it can't be used
            return _unknown(identity, "is not valid Avro")
        if not isinstance(parsed, dict) or parsed.get("type") != "record":
            return _unknown(identity, "is not of a record")
        if not is_bounded(parsed):
            return _unknown(identity, "nests without end or has arrays of nothing")
        return parsed


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


def _unknown(identity: int | str, problem: str) -> BadEventError:
    return BadEventError(DeadLetterReason.UNKNOWN_SCHEMA, f"Schema {identity} {problem}.")
