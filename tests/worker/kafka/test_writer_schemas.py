"""Schemas by id: a registry that lags or is away costs time, never an event, and unknown ids cost little of it."""

from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from worker.exceptions import BadEventError, TransientError
from worker.kafka import writer_schemas
from worker.kafka.schema_registry import newest_schema
from worker.kafka.writer_schemas import WriterSchemas

RECORD = "io.lossgate.Delivery"
SCHEMA = Schema(newest_schema("delivery").text, "AVRO")
NOT_FOUND = SchemaRegistryError(404, 40403, "Schema not found")
PATIENCE_S = 30.0


class _Registry(SchemaRegistryClient):  # type: ignore[misc]
    """A registry that knows what the test says."""

    def __init__(self) -> None:
        super().__init__({"url": "http://registry.invalid"})
        self.known: dict[int, Schema] = {}
        self.failure: Exception | None = None
        self.calls: list[int] = []

    def get_schema_by_guid(self, *_: object, **__: object) -> Schema:
        raise self.failure or NOT_FOUND

    def get_schema(self, schema_id: int, *_: object, **__: object) -> Schema:
        self.calls.append(schema_id)
        if self.failure is not None:
            raise self.failure
        if schema_id not in self.known:
            raise NOT_FOUND
        return self.known[schema_id]


class _Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Clock of the schemas' memory."""
    clock = _Clock()
    monkeypatch.setattr(writer_schemas, "time", clock)
    return clock


@pytest.fixture
def registry() -> _Registry:
    """Registry without schemas."""
    return _Registry()


@pytest.fixture
def schemas(registry: _Registry) -> WriterSchemas:
    """Memory that waits for what the registry does not know."""
    return WriterSchemas(registry, PATIENCE_S)


def _given_up(schemas: WriterSchemas, schema_id: int | str) -> bool:
    """Whether an event with this id would be a dead letter now, rather than wait."""
    try:
        schemas.get(schema_id, RECORD)
    except BadEventError:
        return True
    except TransientError:
        return False
    raise AssertionError("the schema is known")


def test_a_schema_may_come_late(schemas: WriterSchemas, registry: _Registry, clock: _Clock) -> None:
    """A replica that lags by seconds makes the event wait; it is no dead letter."""
    assert not _given_up(schemas, 9)
    clock.now += PATIENCE_S - 1
    assert not _given_up(schemas, 9)
    registry.known[9] = SCHEMA
    assert schemas.get(9, RECORD)["name"] == RECORD


def test_the_wait_for_a_schema_ends(schemas: WriterSchemas, clock: _Clock) -> None:
    """An id that nobody registered does not hold its partition up for good."""
    assert not _given_up(schemas, 9)
    clock.now += PATIENCE_S
    assert _given_up(schemas, 9)


def test_unknown_is_not_remembered_for_ever(schemas: WriterSchemas, registry: _Registry, clock: _Clock) -> None:
    """A schema registered after its events were given up is used for those that follow."""
    _given_up(schemas, 9)
    clock.now += PATIENCE_S
    assert _given_up(schemas, 9)
    registry.known[9] = SCHEMA
    clock.now += 61
    assert schemas.get(9, RECORD)["name"] == RECORD


def test_a_flood_of_one_unknown_schema_asks_once_a_minute(
    schemas: WriterSchemas, registry: _Registry, clock: _Clock
) -> None:
    """A flood of events with one unknown schema does not become a flood of look-ups on the poll thread."""
    _given_up(schemas, 9)
    clock.now += PATIENCE_S
    for _ in range(100):
        assert _given_up(schemas, 9)
        clock.now += 0.5
    assert len(registry.calls) == 2


def test_random_ids_are_waited_for_once(schemas: WriterSchemas, clock: _Clock) -> None:
    """Garbage with an id of its own in each event may stop a partition for one wait, not for one wait each."""
    _given_up(schemas, 9)
    clock.now += PATIENCE_S
    assert _given_up(schemas, 9)
    assert all(_given_up(schemas, schema_id) for schema_id in range(10, 5_000))
    clock.now += 601
    assert not _given_up(schemas, 5_001)


def test_without_patience_unknown_is_final_at_once(registry: _Registry) -> None:
    """The packaged schemas are all there from the start; nothing is on its way."""
    assert _given_up(WriterSchemas(registry), 9)


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), SchemaRegistryError(503, 50001, "starting")])
def test_a_registry_that_is_away_is_never_the_events_fault(
    schemas: WriterSchemas, registry: _Registry, clock: _Clock, failure: Exception
) -> None:
    """However long the registry is away, and whatever it did not know before, no event is given up meanwhile."""
    registry.failure = failure
    for _ in range(100):
        assert not _given_up(schemas, 9)
        clock.now += PATIENCE_S
    registry.failure = None
    registry.known[9] = SCHEMA
    assert schemas.get(9, RECORD)["name"] == RECORD


def test_a_hanging_registry_is_not_asked_for_each_partition(schemas: WriterSchemas, registry: _Registry) -> None:
    """Fifty partitions that wait for a registry which hangs must not add up to minutes between two polls."""
    registry.failure = TimeoutError()
    for schema_id in range(50):
        assert not _given_up(schemas, schema_id)
    assert len(registry.calls) == 1


@pytest.mark.parametrize(
    ("identity", "answer"),
    [
        ("01020304-0506-0708-090a-0b0c0d0e0f10", SchemaRegistryError(404, 0, "no such page")),
        ("01020304-0506-0708-090a-0b0c0d0e0f10", SchemaRegistryError(405, 405, "method not allowed")),
        (9, SchemaRegistryError(422, 42202, "not an id")),
    ],
)
def test_an_id_the_registry_can_make_nothing_of_is_given_up(
    schemas: WriterSchemas, registry: _Registry, clock: _Clock, identity: int | str, answer: Exception
) -> None:
    """Garbage that reads like an id must not hold its partition for good; Apicurio 2.6 has no page for GUIDs."""
    registry.failure = answer
    assert not _given_up(schemas, identity)
    clock.now += PATIENCE_S
    assert _given_up(schemas, identity)


def test_impossible_ids_are_not_asked_for(schemas: WriterSchemas, registry: _Registry) -> None:
    """Beyond Java's ints nothing is registered, and what registries answer to such an id can't be told from a fault."""
    assert _given_up(schemas, 2**32 - 1)
    assert registry.calls == []


def test_known_schemas_need_no_registry(schemas: WriterSchemas, registry: _Registry) -> None:
    """Events of a schema seen before are read while the registry is away."""
    registry.known[9] = SCHEMA
    schemas.get(9, RECORD)
    registry.failure = httpx.ConnectError("refused")
    assert schemas.get(9, RECORD)["name"] == RECORD
    assert registry.calls == [9]


def test_memory_of_ids_is_bounded(registry: _Registry) -> None:
    """Senders choose the ids; a billion of them must not fill the memory."""
    schemas: Any = WriterSchemas(registry)
    for schema_id in range(2_500):
        _given_up(schemas, schema_id)
    assert len(schemas._missing) <= 1_000
