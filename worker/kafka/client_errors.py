"""What an error of confluent-kafka means, here and in words."""

from confluent_kafka import KafkaError, KafkaException

from worker.exceptions import TransientError


def is_retriable(error: BaseException) -> bool:
    """Whether a call that failed so may work in a moment."""
    return isinstance(error, KafkaException) and bool(error.args[0].retriable())


def no_broker_answers(servers: str, error: KafkaError) -> TransientError:
    """Return what a command says where it finds no broker."""
    return TransientError(
        f"No Kafka broker answers at {servers} ({error.str()}). "
        "Is it running, and is LOSSGATE_KAFKA_BOOTSTRAP_SERVERS right?"
    )


def client_error(error: KafkaException | SystemError) -> KafkaError:
    """Return the client's error.

    A client that fails for good while delivery reports are handed over: confluent-kafka raises its error
    between two callbacks, and Python complains of the second with a SystemError (measured with 2.16).

    Raises:
        SystemError: the one given, where no error of the client is behind it.
    """
    cause = error.__cause__ if isinstance(error, SystemError) else error
    if not isinstance(cause, KafkaException):
        raise error
    found: KafkaError = cause.args[0]
    return found
