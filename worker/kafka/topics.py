"""Creates the topics where nobody else does (demo, compose, development)."""

from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from worker.exceptions import TransientError
from worker.kafka.client_config import admin_config, make_admin
from worker.settings import Settings

log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 30.0


def create_topics(settings: Settings, *, partitions: int = 4, replication: int = 1) -> list[str]:
    """Create those of the three topics that are missing; return their names.

    Args:
        settings: names of the topics and where the brokers are.
        partitions: of the deliveries and verdicts topics; dead letters are few and get one.
        replication: copies of each partition.

    Raises:
        TransientError: the brokers can't be reached or refuse.
    """
    admin = make_admin(admin_config(settings))
    wanted = {
        settings.deliveries_topic: partitions,
        settings.verdicts_topic: partitions,
        settings.dead_letters_topic: 1,
    }
    try:
        there = admin.list_topics(timeout=_TIMEOUT_S).topics
        missing = [name for name in wanted if name not in there]
        if not missing:
            return []
        futures = admin.create_topics(
            [NewTopic(name, num_partitions=wanted[name], replication_factor=replication) for name in missing],
            operation_timeout=_TIMEOUT_S,
        )
        for future in futures.values():
            _created(future)
    except KafkaException as error:
        raise TransientError(
            f"The topics could not be created at {settings.kafka_bootstrap_servers}: {error.args[0].str()}"
        ) from error
    log.info("topics_created", topics=missing)
    return missing


def _created(future: object) -> None:
    try:
        future.result(_TIMEOUT_S)  # type: ignore[attr-defined]
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another one was quicker
            raise
