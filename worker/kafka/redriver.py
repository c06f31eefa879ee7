"""Sends events again, in Kafka transactions."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from worker.exceptions import LossgateError
from worker.kafka.client_config import ClientConfig, make_producer, producer_config
from worker.kafka.client_errors import client_error, is_retriable
from worker.kafka.redrive import Redrive
from worker.settings import Settings

_CALL_TIMEOUT_S: Final = 5.0  # of one call to the transaction coordinator
_DEADLINE_S: Final = 60.0  # for the brokers to take a transaction
_QUEUE_PAUSE_S: Final = 0.2
_BACKOFF_MOST_S: Final = 5.0
_FENCED: Final = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001 -- that is its public name


class Redriver:
    """Sends events again.  A context manager.

    All redrives of one dead-letters topic share one transactional id:
    a second one that begins meanwhile fences the first, so that no letter is sent by both.

    Args:
        settings: where Kafka is, and whose dead letters they are.
        deadline_s: for the brokers to take a transaction.

    Raises:
        LossgateError: the transaction coordinator does not answer, or this is not allowed.
    """

    def __init__(self, settings: Settings, deadline_s: float = _DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        own = {"transactional.id": f"{settings.kafka_group_id}-redrive-{settings.dead_letters_topic}"}
        self._producer = make_producer(ClientConfig({**producer_config(settings), **own}))
        try:
            self._retrying(lambda: self._producer.init_transactions(_CALL_TIMEOUT_S))
        except KafkaException as error:
            raise LossgateError(f"No transaction can be begun: {error.args[0].str()}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End.  A transaction that was cut short is aborted by the brokers at its timeout."""

    def send(self, redrives: Sequence[Redrive]) -> None:
        """Send all of them in one transaction, or none.

        Raises:
            LossgateError: the brokers did not take them, or another redrive of these dead letters began meanwhile.
        """
        refused: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                refused.append(error)

        try:
            self._producer.begin_transaction()
            for each in redrives:
                self._produce(each, on_delivery)
            if self._producer.flush(self._deadline_s):
                raise LossgateError("The brokers did not answer in time; nothing of this transaction was sent.")
            if refused:
                raise KafkaException(refused[0])  # noqa: TRY301 -- what a report says ends as what a call says
            self._retrying(lambda: self._producer.commit_transaction(_CALL_TIMEOUT_S))
        except (KafkaException, SystemError) as error:
            problem = client_error(error)
            if problem.code() in _FENCED:
                raise LossgateError("Another redrive of these dead letters has begun; this one gives way.") from error
            self._abort()
            raise LossgateError(f"The events could not be sent: {problem.str()}") from error

    def _produce(self, each: Redrive, on_delivery: Callable[[KafkaError | None, Message], None]) -> None:
        place = {} if each.partition is None else {"partition": each.partition}
        while True:
            try:
                self._producer.produce(
                    each.topic, each.value, each.key, headers=list(each.headers), on_delivery=on_delivery, **place
                )
            except BufferError:  # the client's queue is full
                self._producer.poll(_QUEUE_PAUSE_S)
            else:
                return

    def _abort(self) -> None:
        try:
            self._retrying(lambda: self._producer.abort_transaction(_CALL_TIMEOUT_S))
        except KafkaException:
            return  # the brokers abort it at its timeout

    def _retrying(self, call: Callable[[], object]) -> None:
        """Call until it works, fails in a way that does not pass, or the deadline is over."""
        Retrying(
            retry=retry_if_exception(is_retriable),
            wait=wait_random_exponential(multiplier=0.05, max=_BACKOFF_MOST_S),
            stop=stop_after_delay(self._deadline_s),
            reraise=True,
        )(call)
