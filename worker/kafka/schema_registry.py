"""The Schema Registry, or the package's own schemas in its place, behind one client."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import httpx
import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from worker.exceptions import SettingsError
from worker.settings import Settings

# A look-up runs on the poll thread; the intake tries again by itself, so the client does not.
_CLIENT_DEFAULTS: Final = {"max.retries": 0}
_LOOK_UP_TIMEOUT_S: Final = 2.0
# Properties the client insists on getting as numbers.
_NUMBERS: Final = {"timeout", "max.retries", "retries.wait.ms", "retries.max.wait.ms"}
# Properties of Confluent's Avro serializer rather than of the client.
SERIALIZER_PROPERTIES: Final = ("auto.register.schemas", "normalize.schemas", "use.latest.version")

UNREACHABLE: Final = (OSError, httpx2.HTTPError, httpx.HTTPError)
"""What the client lets through when the registry does not answer: it takes httpx2, or httpx where that is missing."""


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


def has_registry(settings: Settings) -> bool:
    """Whether a real registry is configured, rather than the package's own schemas."""
    url = settings.schema_registry_url
    return url is not None and not url.startswith("mock://")


def connect(settings: Settings, topics: dict[str, str], timeout_s: float = _LOOK_UP_TIMEOUT_S) -> SchemaRegistryClient:
    """Client of the configured registry; without one, an in-process client that knows the catalogue's schemas.

    Args:
        settings: where the registry is.
        topics: topic of each record, for the subjects.
        timeout_s: the longest wait for an answer, where the user sets none.

    Raises:
        SettingsError: a property of the registry client is wrong, or the catalogue's ids have a gap.
    """
    url = settings.schema_registry_url
    if url is not None and has_registry(settings):
        try:
            properties = {
                name: float(secret.get_secret_value()) if name in _NUMBERS else secret.get_secret_value()
                for name, secret in settings.schema_registry_properties.items()
                if name not in SERIALIZER_PROPERTIES
            }
            return SchemaRegistryClient.new_client({**_CLIENT_DEFAULTS, "timeout": timeout_s, "url": url, **properties})
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
