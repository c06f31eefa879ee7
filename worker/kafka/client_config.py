"""Settings to the configurations of librdkafka's clients, and the clients made from them."""

import logging
import math
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from worker.constants import KIB
from worker.exceptions import SettingsError
from worker.kafka.membership import MemberConsumer
from worker.settings import Settings

log = structlog.get_logger(__name__)

# What the delivery guarantee stands on, and what has a setting of its own.
_RESERVED: Final = {
    "bootstrap.servers": "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS",
    "group.id": "LOSSGATE_KAFKA_GROUP_ID",
    "group.protocol": "LOSSGATE_KAFKA_GROUP_PROTOCOL",
    "enable.auto.commit": None,
    "enable.auto.offset.store": None,
    "enable.idempotence": None,
    "isolation.level": None,
    "transactional.id": None,
}
_MIN_FETCH_BYTES: Final = 1_000_000  # librdkafka's own largest message; a smaller fetch could never bring it
_QUEUE_BACKOFF_MS: Final = 50  # librdkafka waits 1 s by default once its queue was full, and the lanes run dry
_FETCH_WAIT_MS: Final = 100  # a fetch that waits for other partitions holds up one that was just resumed
_STATISTICS_MS: Final = 5_000  # how old the lag in the metrics may be
_REPEAT_S: Final = 10.0  # between two lines of the same kind
_REMEMBERED: Final = 1_000  # kinds

OnFatal = Callable[[KafkaError], None]


class ClientConfig(dict[str, Any]):
    """Configuration of one client.  Holds secrets, so it shows only the names."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self))})"


def consumer_config(settings: Settings) -> ClientConfig:
    """Configuration of the worker's consumer.

    Offsets are never committed by the client: they travel in the producer's transactions.
    """
    config = ClientConfig(_common(settings))
    config.update(
        {
            "group.id": settings.kafka_group_id,
            "group.protocol": settings.kafka_group_protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "max.poll.interval.ms": settings.kafka_max_poll_interval_ms,
            "queued.max.messages.kbytes": settings.prefetch_bytes // KIB,
            "queued.min.messages": max(16, 2 * settings.max_in_flight_deliveries),
            "fetch.max.bytes": max(settings.prefetch_bytes, _MIN_FETCH_BYTES),
            "fetch.queue.backoff.ms": _QUEUE_BACKOFF_MS,
            "fetch.wait.max.ms": _FETCH_WAIT_MS,
            "statistics.interval.ms": _STATISTICS_MS,
        }
    )
    if settings.kafka_group_protocol == "classic":
        # With KIP-848 these three are the broker's; librdkafka refuses to be told.
        config["partition.assignment.strategy"] = "cooperative-sticky"
        config["session.timeout.ms"] = settings.kafka_session_timeout_ms
        config["heartbeat.interval.ms"] = settings.kafka_session_timeout_ms // 5
    return _with_properties(config, settings, "consumer")


def reader_config(settings: Settings) -> ClientConfig:
    """Configuration of a reader outside any group, of committed records only (command line, demo, tests)."""
    config = ClientConfig(_common(settings))
    config.update(
        {
            "group.id": f"{settings.kafka_group_id}-reader-{uuid.uuid4().hex}",  # the client wants one; it is not used
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
        }
    )
    return _with_properties(config, settings, "consumer")


def producer_config(settings: Settings) -> ClientConfig:
    """Configuration of the worker's transactional producer.

    The transactional id is new with each process: a worker that died is not fenced by its successor but by
    `transaction.timeout.ms`, and its offsets by the group's generation.
    """
    config = ClientConfig(_common(settings))
    config.update(
        {
            "transactional.id": f"{settings.kafka_group_id}-{uuid.uuid4().hex}",
            "transaction.timeout.ms": settings.kafka_transaction_timeout_ms,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 0,  # a transaction is flushed at once anyway
            # After an outage of all brokers the default drops the brokers it knew, the group's coordinator among
            # them, and send_offsets_to_transaction then waits for ever (librdkafka issues 5511 and 5456).
            "metadata.recovery.strategy": "none",
        }
    )
    return _with_properties(config, settings, "producer")


def plain_producer_config(settings: Settings) -> ClientConfig:
    """Configuration of an idempotent producer without transactions (`lossgate submit`)."""
    config = ClientConfig(_common(settings))
    config.update({"enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5})
    return _with_properties(config, settings, "producer")


def admin_config(settings: Settings) -> ClientConfig:
    """Configuration of an admin client."""
    return _with_properties(ClientConfig(_common(settings)), settings, "admin")


def make_consumer(config: ClientConfig) -> MemberConsumer:
    """Consumer from `consumer_config` or `reader_config`.

    Raises:
        SettingsError: librdkafka refuses the configuration.
    """
    return make_client(MemberConsumer, config)


def make_producer(config: ClientConfig, on_fatal: OnFatal | None = None) -> Producer:
    """Producer from `producer_config` or `plain_producer_config`.

    Args:
        config: its configuration.
        on_fatal: told of errors the client can't recover from, from within its poll.

    Raises:
        SettingsError: librdkafka refuses the configuration.
    """
    return make_client(Producer, ClientConfig({**config, "error_cb": _error_callback(on_fatal)}))


def make_admin(config: ClientConfig) -> AdminClient:
    """Admin client from `admin_config`.

    Raises:
        SettingsError: librdkafka refuses the configuration.
    """
    return make_client(AdminClient, config)


def make_client(client: Callable[[Mapping[str, Any]], Any], config: ClientConfig) -> Any:
    """Make a client of this class.

    Raises:
        SettingsError: librdkafka refuses the configuration.
    """
    try:
        return client(config)
    except KafkaException as error:
        # librdkafka names the property, and for some the value; values can be secrets.
        problem = str(error.args[0].str())
        for name, value in config.items():
            if _is_secret(name):
                problem = problem.replace(str(value), "***")
        raise SettingsError(f"Kafka's client refuses its configuration; see LOSSGATE_KAFKA_*: {problem}") from None


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "lossgate",
        "log.connection.close": False,  # brokers close idle connections all the time
        "reconnect.backoff.max.ms": 2_000,
        "error_cb": _error_callback(None),
        "logger": _LIBRDKAFKA,
    }


def _with_properties(config: ClientConfig, settings: Settings, kind: str) -> ClientConfig:
    """Lay the user's properties over ours; `consumer.`, `producer.` and `admin.` prefixes name one kind of client."""
    for full_name, secret in settings.kafka_properties.items():
        prefix, _, rest = full_name.partition(".")
        is_prefixed = prefix in {"consumer", "producer", "admin"}
        name = rest if is_prefixed else full_name
        if name in _RESERVED:
            instead = _RESERVED[name]
            raise SettingsError(
                f"LOSSGATE_KAFKA_PROPERTIES may not set {name}: "
                + (f"set {instead}." if instead else "the exactly-once guarantee depends on it.")
            )
        if not is_prefixed or prefix == kind:
            config[name] = secret.get_secret_value()
    return config


def _is_secret(name: str) -> bool:
    return name.startswith(("sasl.", "ssl.")) and any(part in name for part in ("password", "secret", "key", "pem"))


def _error_callback(on_fatal: OnFatal | None) -> Callable[[KafkaError], None]:
    said_at: dict[int, float] = {}

    def on_error(error: KafkaError) -> None:
        if error.fatal():
            log.error("kafka_client_fatal", error=error.str(), code=error.name())
            if on_fatal is not None:
                on_fatal(error)
        elif _is_due(said_at, error.code()):
            log.warning("kafka_client_error", error=error.str(), code=error.name())

    return on_error


class _Sparse(logging.Filter):
    """Lets each kind of librdkafka's lines through once in a while; in an outage there are dozens a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = str(record.args[0]) if isinstance(record.args, tuple) and record.args else str(record.msg)
        return _is_due(self._said_at, kind)


def _is_due(said_at: dict[Any, float], kind: Any) -> bool:
    now = time.monotonic()
    if now - said_at.get(kind, -math.inf) < _REPEAT_S:
        return False
    if len(said_at) >= _REMEMBERED:
        said_at.clear()
    said_at[kind] = now
    return True


def _make_logger() -> logging.Logger:
    logger = logging.getLogger("librdkafka")
    logger.addFilter(_Sparse())
    return logger


_LIBRDKAFKA: Final = _make_logger()
