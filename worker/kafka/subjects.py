"""Our schemas in a registry: which are there, which could be, and how they get there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from worker.exceptions import FatalError, SettingsError, TransientError
from worker.kafka.schema_registry import UNREACHABLE, PublishedSchema, connect, has_registry, published_schemas
from worker.settings import Settings

COMPATIBILITY: Final = "FULL_TRANSITIVE"
"""Every version reads what every other wrote; what our schemas promise (`schemas/README.md`)."""

_TIMEOUT_S: Final = 30.0  # a person waits, and no poll loop
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class SchemaState:
    """One published schema and its place in the registry."""

    published: PublishedSchema
    subject: str
    schema_id: int | None  # None: not registered
    is_compatible: bool = True  # with what the subject holds


def check_schemas(settings: Settings) -> list[SchemaState]:
    """Look which schemas the registry has; changes nothing.

    Raises:
        SettingsError: no registry is configured.
        TransientError: it does not answer.
        FatalError: it refuses.
    """
    client, subjects = _open(settings)
    with client, _Told():
        return [_state(client, subjects[each.record], each) for each in published_schemas()]


def register_schemas(settings: Settings) -> Iterator[SchemaState]:
    """Give each subject the compatibility our schemas keep to, and register every version that is not there, in order.

    Raises:
        SettingsError: no registry is configured.
        TransientError: it does not answer.
        FatalError: it refuses, for instance because the subject holds something else.
    """
    client, subjects = _open(settings)
    with client, _Told():
        for subject in subjects.values():
            client.set_compatibility(subject, COMPATIBILITY)
        for each in published_schemas():
            subject = subjects[each.record]
            schema_id = client.register_schema(subject, Schema(each.text, "AVRO"))
            yield SchemaState(each, subject, schema_id)


def _open(settings: Settings) -> tuple[SchemaRegistryClient, dict[str, str]]:
    if not has_registry(settings):
        raise SettingsError("LOSSGATE_SCHEMA_REGISTRY_URL is not set; without a registry there is nothing to register.")
    topics = {
        "delivery": settings.deliveries_topic,
        "verdict": settings.verdicts_topic,
        "dead_letter": settings.dead_letters_topic,
    }
    return connect(settings, topics, _TIMEOUT_S), {record: f"{topic}-value" for record, topic in topics.items()}


def _state(client: SchemaRegistryClient, subject: str, published: PublishedSchema) -> SchemaState:
    schema = Schema(published.text, "AVRO")
    try:
        return SchemaState(published, subject, client.lookup_schema(subject, schema).schema_id)
    except SchemaRegistryError as error:
        if error.http_status_code != _NOT_FOUND:
            raise
    try:
        return SchemaState(published, subject, None, client.test_compatibility_all_versions(subject, schema))
    except SchemaRegistryError as error:
        if error.http_status_code != _NOT_FOUND:
            raise
        return SchemaState(published, subject, None)  # an empty subject takes anything


class _Told:
    """Turns the client's errors into ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SchemaRegistryError):
            if error.http_status_code == _CONFLICT:
                raise FatalError(
                    f"The registry refuses a schema as incompatible with what its subject holds: {error}"
                ) from error
            raise FatalError(f"The schema registry refused: {error}") from error
        if isinstance(error, UNREACHABLE):
            raise TransientError(f"The schema registry did not answer: {error!r}") from error
