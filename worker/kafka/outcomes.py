"""From an outcome to the record that is written for it, made smaller where its topic does not take it whole."""

import dataclasses
import hashlib
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError

from worker.constants import MAX_DEAD_LETTER_RAW_BYTES, REPLAY_HEADER
from worker.exceptions import FatalError
from worker.kafka.ledger import Ticket
from worker.kafka.wire import Wire
from worker.records import DeadLetter, Decision, Judgement, Reason, Verdict

log = structlog.get_logger(__name__)

Outcome = Verdict | DeadLetter


class Record(NamedTuple):
    """What is written to Kafka for the event of a ticket."""

    ticket: Ticket
    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class OutcomeRecords:
    """Makes the records of outcomes.

    Args:
        wire: encodes them.
        verdicts_topic: where verdicts go.
        dead_letters_topic: where dead letters go.
    """

    def __init__(self, wire: Wire, *, verdicts_topic: str, dead_letters_topic: str) -> None:
        self._wire: Final = wire
        self._verdicts_topic: Final = verdicts_topic
        self._dead_letters_topic: Final = dead_letters_topic
        self._too_large: set[Ticket] = set()

    def record(self, ticket: Ticket, outcome: Outcome) -> Record:
        """Return the record of an outcome.

        Raises:
            TransientError: the schema registry could not be asked.
            FatalError: the schema registry refuses the schema.
        """
        if ticket in self._too_large:
            outcome = _slimmed(outcome)
        if isinstance(outcome, DeadLetter):
            letter = _fitting(outcome)
            return Record(ticket, self._dead_letters_topic, letter.key, self._wire.encode_dead_letter(letter), [])
        headers = [] if outcome.replay_id is None else [(REPLAY_HEADER, outcome.replay_id.encode())]
        key = outcome.delivery.delivery_id.encode()
        return Record(ticket, self._verdicts_topic, key, self._verdict(outcome), headers)

    def shrink(self, rejected: list[tuple[Ticket, KafkaError]]) -> None:
        """Note what was too large for its topic: its next record leaves the bulk out.

        Raises:
            FatalError: one was too large without its bulk already.
        """
        for ticket, error in rejected:
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

    def _verdict(self, verdict: Verdict) -> bytes:
        try:
            return self._wire.encode_verdict(verdict)
        except (ValueError, TypeError, OverflowError) as error:
            # A fault of ours, and no reason to stand still: the delivery is named and gets its review.
            log.exception("verdict_not_encodable", delivery_id=verdict.delivery.delivery_id)
            detail = f"The verdict could not be encoded ({type(error).__name__})."
            judgement = Judgement(Decision.REVIEW, Reason.INTERNAL_ERROR, detail)
            return self._wire.encode_verdict(dataclasses.replace(verdict, judgement=judgement))


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


def _slimmed(outcome: Outcome) -> Outcome:
    if isinstance(outcome, DeadLetter):
        return _without_raw_bytes(outcome)
    return dataclasses.replace(outcome, judgement=dataclasses.replace(outcome.judgement, segments=()))
