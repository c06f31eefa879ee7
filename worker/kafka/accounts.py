"""What metrics and log say of outcomes: those that were published, and those the brake held back."""

import time
from collections.abc import Iterable
from typing import Final

import structlog

from worker.bounded_labels import BoundedLabels
from worker.kafka.ledger import ReadyBatch, Ticket
from worker.kafka.outcomes import Outcome, Published
from worker.kafka.retry_plan import Postponed
from worker.logs import canonical_line
from worker.metrics import (
    BRAKE_ENGAGED,
    CODEC_DECISIONS,
    DEAD_LETTERS,
    DECISIONS,
    DELIVERY_SECONDS,
    PROVIDER_DECISIONS,
    RETRIES_SCHEDULED,
    STAGE_SECONDS,
)
from worker.records import DeadLetter, Verdict
from worker.tracing import Value

log = structlog.get_logger(__name__)

_MOST_PROVIDERS: Final = 100  # with a label of their own
_WHAT_TO_DO: Final = (
    "Nothing more is published; the events stay uncommitted in their topic.  See what is sent there, put it right, "
    "and restart the worker.  If these dead letters are right, raise LOSSGATE_BRAKE_DEAD_LETTERS."
)


class Accounts:
    """Tells of what the publisher does."""

    def __init__(self) -> None:
        self._providers = BoundedLabels(_MOST_PROVIDERS)

    def published(self, written: Iterable[tuple[Ticket, Published]], began: float) -> None:
        """Count and log a committed transaction.

        Args:
            written: what it held.
            began: its monotonic time, seconds.
        """
        now = time.monotonic()
        STAGE_SECONDS.labels("publish").observe(now - began)
        for ticket, outcome in written:
            ticket.trace.stage("publish", began, now)
            ticket.trace.end(trace_attributes(outcome))
            trace_id = ticket.trace.trace_id
            if isinstance(outcome, Postponed):
                RETRIES_SCHEDULED.labels(outcome.fault.value).inc()
                log.info("delivery_postponed", **outcome.line(), trace_id=trace_id)
                continue
            DELIVERY_SECONDS.observe(now - ticket.polled_at)
            if isinstance(outcome, DeadLetter):
                DEAD_LETTERS.labels(outcome.reason.value).inc()
            else:
                self._count_verdict(outcome)
            canonical_line(outcome, {"publish": now - began, "total": now - ticket.polled_at}, trace_id)

    def _count_verdict(self, verdict: Verdict) -> None:
        judgement = verdict.judgement
        decision = judgement.decision.value
        DECISIONS.labels(decision, judgement.reason.value).inc()
        PROVIDER_DECISIONS.labels(self._providers.label(verdict.delivery.provider), decision).inc()
        CODEC_DECISIONS.labels(judgement.codec or "none", decision).inc()

    def stopped(self, batch: ReadyBatch[Outcome], why: str) -> None:
        """Say loudly that the brake engaged on these outcomes."""
        BRAKE_ENGAGED.set(1)
        letters = [outcome for _, outcome in batch.outcomes if isinstance(outcome, DeadLetter)]
        first = letters[0]
        log.error(
            "dead_letter_brake_engaged",
            why=why,
            reasons=sorted({letter.reason.value for letter in letters}),
            first=first.detail,
            topic=first.source.topic,
            partition=first.source.partition,
            offset=first.source.offset,
            what_to_do=_WHAT_TO_DO,
        )


def trace_attributes(outcome: Published) -> dict[str, Value]:
    """What the span of a delivery says of its outcome."""
    if isinstance(outcome, Postponed):
        return {"lossgate.outcome": "POSTPONED", "lossgate.reason": outcome.fault.value}
    if isinstance(outcome, DeadLetter):
        return {"lossgate.outcome": "DEAD_LETTER", "lossgate.reason": outcome.reason.value}
    return {
        "lossgate.outcome": outcome.judgement.decision.value,
        "lossgate.reason": outcome.judgement.reason.value,
        "lossgate.codec": outcome.judgement.codec,
        "lossgate.verdict_id": str(outcome.verdict_id),
        "lossgate.replay_id": outcome.replay_id,
    }
