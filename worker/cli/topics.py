"""Looks a topic up before a command reads or writes it, so that what is wrong is said at once and plainly."""

from confluent_kafka import Consumer, KafkaException, Producer

from worker.exceptions import LossgateError
from worker.settings import Settings

ANSWER_DEADLINE_S = 10.0


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
    try:
        found = client.list_topics(topic, timeout=ANSWER_DEADLINE_S).topics[topic]
    except KafkaException as error:
        raise LossgateError(
            f"No Kafka broker answers at {servers} ({error.args[0].str()}). "
            "Is it running, and is LOSSGATE_KAFKA_BOOTSTRAP_SERVERS right?"
        ) from error
    if found.error is not None or not found.partitions:
        why = found.error.str() if found.error is not None else "it has no partitions"
        raise LossgateError(f"Topic {topic} can't be used on {servers}: {why}. Does it exist, and is {variable} right?")
    return set(found.partitions)
