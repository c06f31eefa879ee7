"""Creates the topics, or brings them to what is wanted: asks the brokers, plans, does it."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from worker.exceptions import LossgateError, TransientError
from worker.kafka.client_config import admin_config, make_admin
from worker.kafka.client_errors import no_broker_answers
from worker.kafka.topic_plan import FoundTopic, Plan, WantedTopic, plan_topics
from worker.settings import Settings

log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 30.0
_SETTLE_S: Final = 10.0  # a topic another one just made is not known to every broker at once
_SETTLE_PAUSE_S: Final = 0.2


def ensure_topics(settings: Settings, wanted: Sequence[WantedTopic], *, dry_run: bool = False) -> Plan:
    """Create what is missing, add partitions, set what differs; return what was (or would be) done.

    Nothing is done where one of the topics can't be brought to what is wanted.

    Raises:
        SettingsError: a topic has more partitions than wanted, or another replication.
        LossgateError: the brokers refuse.
        TransientError: they don't answer.
    """
    admin = make_admin(admin_config(settings))
    try:
        plan = plan_topics(wanted, _found(admin, [each.name for each in wanted]))
        if not dry_run:
            late = _create(admin, plan.create)
            _grow(admin, plan.grow)
            _configure(admin, plan)
            if late:  # another one was quicker, and may have wanted something else
                _settle(admin, late)
                ensure_topics(settings, late)
    except KafkaException as error:
        raise _plain(error.args[0], settings) from error
    if plan.sentences():
        log.info("topics_planned" if dry_run else "topics_brought_up_to_date", steps=plan.sentences())
    return plan


def _found(admin: AdminClient, names: Sequence[str]) -> dict[str, FoundTopic]:
    metadata = admin.list_topics(timeout=_TIMEOUT_S).topics
    there = [name for name in names if name in metadata]
    if not there:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
    answers = admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
    configs = {resource.name: future.result(_TIMEOUT_S) for resource, future in answers.items()}
    return {
        name: FoundTopic(
            partitions=len(metadata[name].partitions),
            replication=min(len(each.replicas) for each in metadata[name].partitions.values()),
            config={entry.name: str(entry.value) for entry in configs[name].values()},
        )
        for name in there
    }


def _create(admin: AdminClient, topics: Sequence[WantedTopic]) -> list[WantedTopic]:
    """Create these; return those that somebody else created in the same moment."""
    if not topics:
        return []
    futures = admin.create_topics(
        [
            NewTopic(each.name, num_partitions=each.partitions, replication_factor=each.replication, config=each.config)
            for each in topics
        ],
        operation_timeout=_TIMEOUT_S,
    )
    late = []
    for topic in topics:
        try:
            futures[topic.name].result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            late.append(topic)
    return late


def _settle(admin: AdminClient, topics: Iterable[WantedTopic]) -> None:
    give_up_at = time.monotonic() + _SETTLE_S
    names = {each.name for each in topics}
    while not names <= admin.list_topics(timeout=_TIMEOUT_S).topics.keys():
        if time.monotonic() > give_up_at:
            raise TransientError(f"{', '.join(sorted(names))}: just created by somebody else, but no broker knows it.")
        time.sleep(_SETTLE_PAUSE_S)


def _grow(admin: AdminClient, topics: Sequence[WantedTopic]) -> None:
    if topics:
        _wait_for(admin.create_partitions([NewPartitions(each.name, each.partitions) for each in topics]))


def _configure(admin: AdminClient, plan: Plan) -> None:
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in changes.items()
            ],
        )
        for topic, changes in plan.configure
    ]
    if resources:
        _wait_for(admin.incremental_alter_configs(resources))


def _wait_for(futures: dict[Any, Future[None]]) -> None:
    for future in futures.values():
        future.result(_TIMEOUT_S)


def _plain(error: KafkaError, settings: Settings) -> LossgateError:
    servers = settings.kafka_bootstrap_servers
    if error.code() in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}:  # noqa: SLF001 -- its public names begin like this
        return no_broker_answers(servers, error)
    return LossgateError(f"The brokers at {servers} refused to set up the topics: {error.str()}")
