"""Which deliveries are tried again later, and how long an event on the retries topic still has to wait.  Pure."""

from dataclasses import dataclass

from worker.constants import MAX_EVENT_BYTES
from worker.kafka.event import Event
from worker.kafka.retry_headers import Headers, RetryStamp
from worker.records import FetchFault, Verdict
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often and how late.

    Args:
        attempts: how often one event goes through the retries topic; 0: never.
        delay_s: time it waits there, the same for all: so the events of a partition are due in their order.
    """

    attempts: int
    delay_s: float

    @classmethod
    def of(cls, settings: Settings) -> "RetryPlan":
        """Take the plan out of the settings."""
        return cls(settings.retry_attempts, settings.retry_delay_s)

    def outcome(self, event: Event, verdict: Verdict) -> "Verdict | Postponed":
        """Return the verdict, or the postponed event where another try later may do better."""
        fault = verdict.judgement.passing
        if fault is None or event.attempt >= self.attempts:
            return verdict
        return Postponed(event, event.attempt + 1, fault, verdict)

    def wait_s(self, event: Event, now_s: float) -> float:
        """Seconds an event still has to wait.

        Never more than the delay, whatever its header or another worker's clock says.
        """
        if event.retry is None or event.size > MAX_EVENT_BYTES:  # a dead letter at once
            return 0.0
        return min(max(0.0, event.retry.not_before_ms / 1000 - now_s), self.delay_s)


@dataclass(frozen=True, slots=True)
class Postponed:
    """An event that is to be tried again later.

    Args:
        event: the event as it was polled.
        attempt: which later try comes next, from 1.
        fault: why the fetch failed this time.
        verdict: what is published instead where the retries topic does not take the event.
    """

    event: Event
    attempt: int
    fault: FetchFault
    verdict: Verdict

    def headers(self, not_before_ms: int) -> Headers:
        """Its own headers, and those the retries topic needs."""
        return (*self.event.headers, *RetryStamp(self.attempt, not_before_ms, self.event.origin).headers())

    def line(self) -> dict[str, object]:
        """Fields for the log."""
        delivery, origin = self.verdict.delivery, self.event.origin
        return {
            "delivery_id": delivery.delivery_id,
            "attempt": self.attempt,
            "fault": self.fault.value,
            "detail": self.verdict.judgement.detail,
            "audio_uri": delivery.audio_uri,
            "source": f"{origin.topic}/{origin.partition}/{origin.offset}",
        }
