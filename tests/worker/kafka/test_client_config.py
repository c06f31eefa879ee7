"""Client configurations: what the guarantee stands on can't be changed by accident, and secrets stay secret."""

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException

from worker.exceptions import SettingsError
from worker.kafka import client_config
from worker.kafka.client_config import (
    ClientConfig,
    admin_config,
    consumer_config,
    make_admin,
    make_consumer,
    make_producer,
    plain_producer_config,
    producer_config,
    reader_config,
)
from worker.settings import Settings


def _settings(**more: object) -> Settings:
    return Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", **more)


def test_librdkafka_takes_every_configuration() -> None:
    """No property is misspelt and no two exclude each other, in either group protocol."""
    for protocol in ("classic", "consumer"):
        settings = _settings(kafka_group_protocol=protocol)
        make_consumer(consumer_config(settings)).close()
        make_consumer(reader_config(settings)).close()
        make_producer(producer_config(settings))
        make_producer(plain_producer_config(settings))
        make_admin(admin_config(settings))


def test_offsets_are_never_committed_behind_the_transactions() -> None:
    """The consumer commits nothing by itself; that would judge deliveries at most once."""
    config = consumer_config(_settings())
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert config["isolation.level"] == "read_committed"
    assert config["auto.offset.reset"] == "earliest"


def test_prefetch_is_bounded() -> None:
    """What librdkafka fetches ahead is limited in bytes, so that full topics of small events don't eat the pod."""
    config = consumer_config(_settings(prefetch_bytes=2 * 1024 * 1024, max_in_flight_deliveries=100))
    assert config["queued.max.messages.kbytes"] == 2048
    assert config["queued.min.messages"] == 200
    assert config["fetch.max.bytes"] == 2 * 1024 * 1024


def test_the_new_group_protocol_leaves_the_session_to_the_broker() -> None:
    """With KIP-848 librdkafka refuses session timeout and assignment strategy."""
    config = consumer_config(_settings(kafka_group_protocol="consumer"))
    assert config.keys().isdisjoint({"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"})


def test_each_process_has_a_transactional_id_of_its_own() -> None:
    """Two workers with one id would fence each other for ever."""
    ids = {producer_config(_settings())["transactional.id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(each.startswith("lossgate-") for each in ids)


def test_properties_of_the_user_win() -> None:
    """Any property can be set, for all clients or for one kind."""
    settings = _settings(
        kafka_properties={"client.id": "mine", "consumer.fetch.min.bytes": "7", "producer.acks": "all"}
    )
    assert consumer_config(settings)["client.id"] == "mine"
    assert consumer_config(settings)["fetch.min.bytes"] == "7"
    assert "fetch.min.bytes" not in producer_config(settings)
    assert producer_config(settings)["acks"] == "all"
    assert admin_config(settings).keys().isdisjoint({"acks", "fetch.min.bytes"})


@pytest.mark.parametrize(
    "name", ["enable.auto.commit", "consumer.isolation.level", "producer.transactional.id", "group.id"]
)
def test_properties_of_the_guarantee_are_refused(name: str) -> None:
    """What exactly-once stands on is refused at start, rather than lost in production."""
    with pytest.raises(SettingsError, match="LOSSGATE_KAFKA_PROPERTIES"):
        consumer_config(_settings(kafka_properties={name: "x"}))


def test_secrets_are_not_shown() -> None:
    """Configurations end up in logs and tracebacks; passwords must not."""
    config = consumer_config(_settings(kafka_properties={"sasl.password": "hunter2"}))
    assert "hunter2" not in repr(config)
    assert "hunter2" not in f"{config}"
    with pytest.raises(SettingsError, match=r"no\.such") as caught:
        make_consumer(ClientConfig({**config, "no.such.property": "x"}))
    assert "hunter2" not in str(caught.value)


def test_values_of_secrets_are_masked_in_errors() -> None:
    """Some of librdkafka's complaints quote the value."""
    config = ClientConfig({"ssl.key.password": "hunter2"})

    def refuse(_config: object) -> object:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, 'no such file "hunter2"'))

    with pytest.raises(SettingsError) as caught:
        client_config.make_client(refuse, config)
    assert "hunter2" not in str(caught.value)


def test_fatal_errors_are_told() -> None:
    """A client that can't go on says so to whoever stops the worker; passing errors it only logs."""
    told: list[KafkaError] = []
    callback = client_config._error_callback(told.append)
    callback(KafkaError(KafkaError._TRANSPORT, "down"))
    assert told == []
    fatal = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
    callback(fatal)
    assert told == [fatal]


def test_repeated_lines_are_dropped() -> None:
    """In an outage librdkafka writes dozens of lines a second; one of each kind is enough."""
    sparse = client_config._Sparse()

    def line(kind: str) -> logging.LogRecord:
        return logging.LogRecord("librdkafka", logging.ERROR, "", 0, "%s [%s] %s", (kind, "client", "text"), None)

    assert [bool(sparse.filter(line(kind))) for kind in ("FAIL", "FAIL", "TXNERR", "FAIL")] == [
        True,
        False,
        True,
        False,
    ]
