"""From an outcome to the record that is written for it, made smaller where its topic does not take it whole."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError

from worker.constants import MAX_DEAD_LETTER_RAW_BYTES, REPLAY_HEADER
from worker.exceptions import FatalError
from worker.kafka.ledger import Ticket
from worker.kafka.retry_plan import Postponed
from worker.kafka.wire import Wire
from worker.records import DeadLetter, Decision, Judgement, PassedOver, Reason, Verdict
from worker.settings import Settings

log = structlog.get_logger(__name__)

Published = Verdict | DeadLetter | Postponed
Outcome = Published | PassedOver

_NO_SUCH_TOPIC: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 -- its public names begin like this
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 -- the same
}


class Record(NamedTuple):
    """What is written to Kafka for the event of a ticket."""

    ticket: Ticket
    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class OutcomeRecords:
    """Makes the records of outcomes.

    Args:
        wire: encodes them.
        settings: where they go, and how late a postponed event is due.
        wall_s: Unix time, seconds.
    """

    def __init__(self, wire: Wire, settings: Settings, wall_s: Callable[[], float] = time.time) -> None:
        self._wire: Final = wire
        self._verdicts_topic: Final = settings.verdicts_topic
        self._dead_letters_topic: Final = settings.dead_letters_topic
        self._retries_topic: Final = settings.retries_topic
        self._retry_delay_s: Final = settings.retry_delay_s
        self._wall_s: Final = wall_s
        self._too_large: set[Ticket] = set()
        self._topicless: set[Ticket] = set()

    def record(self, ticket: Ticket, outcome: Published) -> Record:
        """Return the record of an outcome.

        Raises:
            TransientError: the schema registry could not be asked.
            FatalError: the schema registry refuses the schema.
        """
        written = self.written(ticket, outcome)
        if isinstance(outcome, Postponed) and written is not outcome:
            log.warning("retries_topic_refuses", topic=self._retries_topic, **outcome.line())
        outcome = written
        if isinstance(outcome, DeadLetter):
            letter = _fitting(outcome)
            value = self._wire.encode_dead_letter(letter)
            return Record(ticket, self._dead_letters_topic, letter.key, value, _headers(ticket, ticket.replay_id))
        if isinstance(outcome, Postponed):
            # The time is taken here and not by the lane: so the events of a partition are due in their order.
            headers = outcome.headers(round((self._wall_s() + self._retry_delay_s) * 1000))
            return Record(ticket, self._retries_topic, outcome.event.key, outcome.event.value, list(headers))
        key = outcome.delivery.delivery_id.encode()
        return Record(ticket, self._verdicts_topic, key, self._verdict(outcome), _headers(ticket, outcome.replay_id))

    def shrink(self, rejected: list[tuple[Ticket, KafkaError]]) -> None:
        """Note what its topic did not take: its next record leaves the bulk out, or is a postponed event's verdict.

        Raises:
            FatalError: one was too large without its bulk already.
        """
        for ticket, error in rejected:
            if error.code() in _NO_SUCH_TOPIC:
                self._topicless.add(ticket)
            if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
                continue
            if ticket in self._too_large:
                raise FatalError(
                    f"The outcome of {ticket.source} is too large for its topic even without its details: "
                    "raise the topic's max.message.bytes."
                )
            self._too_large.add(ticket)

    def forget(self, ticket: Ticket) -> None:
        """Drop what was noted of a ticket that is settled."""
        self._too_large.discard(ticket)
        self._topicless.discard(ticket)

    def written(self, ticket: Ticket, outcome: Published) -> Published:
        """Return what is written for an outcome: itself, or less where its topic did not take it."""
        is_too_large = ticket in self._too_large
        if not isinstance(outcome, Postponed):
            return _slimmed(outcome) if is_too_large else outcome
        return outcome.verdict if is_too_large or ticket in self._topicless else outcome

    def _verdict(self, verdict: Verdict) -> bytes:
        try:
            return self._wire.encode_verdict(verdict)
        except (ValueError, TypeError, OverflowError) as error:
            # A fault of ours, and no reason to stand still: the delivery is named and gets its review.
            log.exception("verdict_not_encodable", delivery_id=verdict.delivery.delivery_id)
            detail = f"The verdict could not be encoded ({type(error).__name__})."
            judgement = Judgement(Decision.REVIEW, Reason.INTERNAL_ERROR, detail)
            return self._wire.encode_verdict(dataclasses.replace(verdict, judgement=judgement))


def _headers(ticket: Ticket, replay_id: str | None) -> list[tuple[str, bytes | None]]:
    replay = [] if replay_id is None else [(REPLAY_HEADER, replay_id.encode())]
    return [*replay, *ticket.trace.headers()]


def _fitting(letter: DeadLetter) -> DeadLetter:
    """Leave out the raw bytes where they would not fit into a record."""
    size = sum(len(name) + len(value or b"") for name, value in letter.headers)
    size += len(letter.key or b"") + len(letter.value or b"")
    return letter if size <= MAX_DEAD_LETTER_RAW_BYTES else _without_raw_bytes(letter)


def _without_raw_bytes(letter: DeadLetter) -> DeadLetter:
    value = letter.value or b""
    return dataclasses.replace(
        letter,
        detail=f"{letter.detail} The {len(value)} bytes of its value (SHA-256 {hashlib.sha256(value).hexdigest()}), "
        "its key and its headers are not repeated here: they don't fit.",
        key=None,
        value=None,
        headers=(),
    )


def _slimmed(outcome: Verdict | DeadLetter) -> Verdict | DeadLetter:
    if isinstance(outcome, DeadLetter):
        return _without_raw_bytes(outcome)
    return dataclasses.replace(outcome, judgement=dataclasses.replace(outcome.judgement, segments=()))
