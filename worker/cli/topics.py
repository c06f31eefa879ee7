"""Looks a topic up before a command reads or writes it, so that what is wrong is said at once and plainly."""

import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from worker.exceptions import LossgateError
from worker.kafka.client_errors import no_broker_answers
from worker.settings import Settings

_ANSWER_DEADLINE_S = 10.0
_SETTLE_S = 3.0  # a topic made a moment ago is not known to, or led by, every broker yet
_RETRY_PAUSE_S = 0.2


def partitions_of(client: Consumer | Producer, topic: str, variable: str, settings: Settings) -> set[int]:
    """Return the partitions of a topic.

    Args:
        client: to ask with.
        topic: its name.
        variable: the setting that names it.
        settings: where Kafka is.

    Raises:
        LossgateError: no broker answers, or the topic does not exist or is not for us.
    """
    servers = settings.kafka_bootstrap_servers
    give_up_at = time.monotonic() + _SETTLE_S
    while True:
        try:
            found = client.list_topics(topic, timeout=_ANSWER_DEADLINE_S).topics[topic]
        except KafkaException as error:
            raise no_broker_answers(servers, error.args[0]) from error
        if found.error is None and found.partitions:
            return set(found.partitions)
        if time.monotonic() > give_up_at:
            why = found.error.str() if found.error is not None else "it has no partitions"
            raise LossgateError(
                f"Topic {topic} can't be used on {servers}: {why}. Does it exist, and is {variable} right?"
            )
        time.sleep(_RETRY_PAUSE_S)


def bounds_of(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Return the first offset of a partition and the one after its last.

    Raises:
        LossgateError: it can't be read.
    """
    give_up_at = time.monotonic() + _SETTLE_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_DEADLINE_S)
        except KafkaException as error:
            if time.monotonic() > give_up_at:
                raise LossgateError(f"{topic} can't be read: {error.args[0].str()}") from error
            time.sleep(_RETRY_PAUSE_S)
        else:
            return low, high
