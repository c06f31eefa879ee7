"""A real registry with Confluent's API: register, evolve, refuse, lag, hang.  Started once for all of these."""

import dataclasses
import io
import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from demo.registry.local_registry import LocalRegistry
from tests.integration.support import Topics, committed, delivery_of, publish, wait_for
from tests.integration.trivial_worker import TrivialWorker
from worker.cli.app import app
from worker.exceptions import BadEventError, FatalError, TransientError
from worker.kafka.avro_bounds import without_logical_types
from worker.kafka.avro_records import delivery_to_avro
from worker.kafka.schema_registry import newest_schema, published_schemas
from worker.kafka.subjects import COMPATIBILITY, check_schemas, register_schemas
from worker.kafka.wire import Wire
from worker.metrics import LAST_POLL_TIMESTAMP, WAITING_FOR_REGISTRY
from worker.records import DeadLetterReason, Delivery, Verdict
from worker.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

OPTIONAL_FIELD = {"name": "genre", "type": ["null", "string"], "default": None}


@pytest.fixture(scope="module")
def registry() -> Iterator[LocalRegistry]:
    """A registry of these tests; every test has subjects of its own."""
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def names() -> Topics:
    """Names of topics, for tests that need no broker."""
    name = f"test-{uuid4().hex[:12]}"
    return Topics(f"{name}.deliveries", f"{name}.verdicts", f"{name}.dead-letters")


def _settings(registry: LocalRegistry, topics: Topics, timeout_s: float = 20, **more: Any) -> Settings:
    return Settings(
        _env_file=None,
        schema_registry_url=registry.url,
        schema_registry_properties={"timeout": str(timeout_s)},
        deliveries_topic=topics.deliveries,
        verdicts_topic=topics.verdicts,
        dead_letters_topic=topics.dead_letters,
        windows_per_track=1,
        retry_attempts=0,
        **more,
    )


def _worker_settings(registry: LocalRegistry, kafka: LocalKafka, topics: Topics) -> Settings:
    """Of a worker that soon takes a registry for hung."""
    return _settings(
        registry,
        topics,
        timeout_s=2,
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_group_id=f"group-{topics.deliveries}",
    )


def _client(registry: LocalRegistry) -> SchemaRegistryClient:
    """To be closed, as the tests take an open socket for an error."""
    return SchemaRegistryClient({"url": registry.url})


def _changed(*fields: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The delivery's schema with some fields more and some fewer."""
    schema = json.loads(newest_schema("delivery").text)
    schema["fields"] = [each for each in schema["fields"] if each["name"] not in without] + list(fields)
    schema["doc"] = f"{uuid4()}"  # equal schemas have equal ids, whatever their subject
    return dict(schema)


def _register(registry: LocalRegistry, topics: Topics, schema: dict[str, Any]) -> int:
    with _client(registry) as client:
        return int(client.register_schema(f"{topics.deliveries}-value", Schema(json.dumps(schema), "AVRO")))


def _written(delivery: Delivery, schema: dict[str, Any], schema_id: int, **more: Any) -> bytes:
    """Bytes of an event as a sender with that schema writes them."""
    wanted = {each["name"] for each in schema["fields"]}
    values = {name: value for name, value in delivery_to_avro(delivery).items() if name in wanted} | more
    values |= {"event_id": str(delivery.event_id), "delivered_at": int(delivery.delivered_at.timestamp() * 1000)}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(without_logical_types(schema)), values)
    return struct.pack(">bI", 0, schema_id) + buffer.getvalue()


def _until(condition: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_schemas_are_registered_by_command(
    registry: LocalRegistry, names: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lossgate schemas` tells what is missing, registers every version once, and sets the compatibility."""
    settings = _settings(registry, names)
    for name in ("schema_registry_url", "deliveries_topic", "verdicts_topic", "dead_letters_topic"):
        monkeypatch.setenv(f"LOSSGATE_{name.upper()}", str(getattr(settings, name)))
    missing = CliRunner().invoke(app, ["schemas", "check"])
    assert (missing.exit_code, missing.stdout.count("not registered")) == (4, len(published_schemas()))
    first, second = (CliRunner().invoke(app, ["schemas", "register"]) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    assert CliRunner().invoke(app, ["schemas", "check"]).exit_code == 0
    with _client(registry) as client:
        assert client.get_versions(f"{names.dead_letters}-value") == [1, 2]
        assert client.get_compatibility(f"{names.verdicts}-value") == COMPATIBILITY


def test_incompatible_changes_are_refused(registry: LocalRegistry, names: Topics) -> None:
    """What `schemas/README.md` forbids the registry refuses with 409, and what it allows is taken."""
    list(register_schemas(_settings(registry, names)))
    for refused in (_changed({"name": "genre", "type": "string"}), _changed(without=("provider",))):
        with pytest.raises(SchemaRegistryError) as caught:
            _register(registry, names, refused)
        assert caught.value.http_status_code == 409
    assert _register(registry, names, _changed(OPTIONAL_FIELD, without=("isrc",))) > 0


def test_a_subject_that_holds_something_else_is_told(registry: LocalRegistry, names: Topics) -> None:
    """Where the subject is another team's, `check` says incompatible, and the worker's first write is fatal."""
    settings = _settings(registry, names)
    with _client(registry) as client:
        client.set_compatibility(f"{names.deliveries}-value", COMPATIBILITY)
    other = {"type": "record", "name": "Delivery", "namespace": "io.lossgate", "fields": [{"name": "x", "type": "int"}]}
    _register(registry, names, other)
    assert [each.published.record for each in check_schemas(settings) if not each.is_compatible] == ["delivery"]
    with pytest.raises(FatalError, match="refuses a schema as incompatible"):
        list(register_schemas(settings))
    with closing(Wire(settings)) as wire, pytest.raises(FatalError, match="refuses the schema of delivery"):
        wire.encode_delivery(delivery_of("/in/a.flac", "a"))


def test_older_and_newer_events_are_read(registry: LocalRegistry, names: Topics) -> None:
    """Events of a version with fewer and of one with more optional fields are read by the ids the registry gave."""
    settings = _settings(registry, names)
    list(register_schemas(settings))
    delivery = delivery_of("/in/a.flac", "a")
    older, newer = _changed(without=("isrc", "expected_sha256")), _changed(OPTIONAL_FIELD)
    moment = delivery.delivered_at.replace(microsecond=delivery.delivered_at.microsecond // 1000 * 1000)
    expected = dataclasses.replace(delivery, delivered_at=moment)
    with closing(Wire(settings)) as wire:
        ours = wire.encode_delivery(delivery)
        ids = _register(registry, names, older), _register(registry, names, newer), struct.unpack(">bI", ours[:5])[1]
        assert len(set(ids)) == 3
        assert wire.decode_delivery(_written(delivery, older, ids[0])) == expected
        assert wire.decode_delivery(_written(delivery, newer, ids[1], genre="polka")) == expected
        assert wire.decode_delivery(ours) == expected


@pytest.mark.parametrize("prefix", [struct.pack(">bI", 0, 2**32 - 1), struct.pack(">bI", 0, 10**9), b"\x01"])
def test_garbage_with_a_prefix_is_not_waited_for_for_ever(
    registry: LocalRegistry, names: Topics, prefix: bytes
) -> None:
    """Ids out of range and GUIDs, of which this registry knows nothing, end as unknown schemas."""
    with closing(Wire(_settings(registry, names))) as wire, pytest.raises(BadEventError) as caught:
        wire.decode_delivery(prefix + bytes(range(40)))
    assert caught.value.reason == DeadLetterReason.UNKNOWN_SCHEMA


def test_a_worker_outlasts_a_registry_that_lags_and_hangs(
    registry: LocalRegistry, local_kafka: LocalKafka, topics: Topics
) -> None:
    """Events of a schema registered a moment later, and some sent while the registry hangs, all end in verdicts."""
    settings = _worker_settings(registry, local_kafka, topics)
    newer, other = _changed(OPTIONAL_FIELD), _changed({**OPTIONAL_FIELD, "name": "mood"})
    list(register_schemas(settings))
    next_id = 1 + _register(registry, topics, _changed())  # registries number one after another
    late = [_written(delivery_of("/in/a.flac", f"late-{n}"), newer, next_id, genre="polka") for n in range(4)]
    with closing(Wire(settings, patience_s=60.0)) as wire, TrivialWorker(settings, wire=wire) as worker:
        publish(local_kafka.bootstrap_servers, topics.deliveries, late, partitions=4)
        _until(lambda: WAITING_FOR_REGISTRY._value.get() == 4)
        assert _register(registry, topics, newer) == next_id
        wait_for(4, local_kafka.bootstrap_servers, topics.verdicts, within_s=60)

        other_id = _register(registry, topics, other)
        hidden = _written(delivery_of("/in/a.flac", "hidden"), other, other_id, mood="blue")
        registry.pause()
        try:
            publish(local_kafka.bootstrap_servers, topics.deliveries, [hidden])
            _until(lambda: WAITING_FOR_REGISTRY._value.get() == 1)
            publish(local_kafka.bootstrap_servers, topics.deliveries, late[:1], first_partition=1)
            wait_for(5, local_kafka.bootstrap_servers, topics.verdicts, within_s=60)  # of a schema seen before: goes on
            assert time.time() - LAST_POLL_TIMESTAMP._value.get() < 5
        finally:
            registry.resume()
        wait_for(6, local_kafka.bootstrap_servers, topics.verdicts, within_s=60)
    assert worker.is_drained
    assert committed(local_kafka.bootstrap_servers, topics.dead_letters) == []
    verdicts = committed(local_kafka.bootstrap_servers, topics.verdicts)
    (newest,) = (each.schema_id for each in check_schemas(settings) if each.published == newest_schema("verdict"))
    assert {struct.unpack(">bI", each.value()[:5])[1] for each in verdicts} == {newest}


def _is_known(wire: Wire, event: bytes) -> bool:
    try:
        wire.decode_delivery(event)
    except TransientError:  # a machine with much else to do may not answer in time
        return False
    return True


class _Counting(Wire):
    """A wire that counts the verdicts the registry did not let it write."""

    failed = 0

    def encode_verdict(self, verdict: Verdict) -> bytes:
        try:
            return super().encode_verdict(verdict)
        except TransientError:
            self.failed += 1
            raise


def test_a_worker_outlasts_a_registry_that_hangs_at_its_first_verdict(
    registry: LocalRegistry, local_kafka: LocalKafka, topics: Topics
) -> None:
    """A verdict whose schema can't be registered yet waits; it is published once, when the registry is back."""
    settings = _worker_settings(registry, local_kafka, topics)
    schema = _changed()
    event = _written(delivery_of("/in/a.flac", "a"), schema, _register(registry, topics, schema))
    with closing(_Counting(settings)) as wire, TrivialWorker(settings, wire=wire) as worker:
        _until(lambda: _is_known(wire, event))
        worker.hold.clear()
        publish(local_kafka.bootstrap_servers, topics.deliveries, [event])
        _until(lambda: worker.ledger.unsettled == 1)
        registry.pause()
        try:
            worker.hold.set()
            _until(lambda: wire.failed > 1)
            assert time.time() - LAST_POLL_TIMESTAMP._value.get() < 5
        finally:
            registry.resume()
        wait_for(1, local_kafka.bootstrap_servers, topics.verdicts, within_s=60)
    assert worker.is_drained
    assert len(committed(local_kafka.bootstrap_servers, topics.verdicts)) == 1
