"""The lanes: threads that take deliveries through the pipeline, several at a time.

A lane never touches Kafka; it hands its verdict to the ledger and takes the next delivery.
The queue in front of the lanes is bounded by the intake's budget, which counts a delivery until it is committed.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker import tracing
from worker.kafka.event import Event
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome
from worker.kafka.retry_plan import RetryPlan
from worker.metrics import STAGE_SECONDS
from worker.records import Delivery
from worker.verdict import make_verdict

if TYPE_CHECKING:  # it brings TensorFlow, which whoever judges has loaded
    from worker.pipeline import Pipeline


class Lanes:
    """Judges deliveries on a fixed number of threads.

    Args:
        pipeline: judges one audio object; thread-safe.
        ledger: takes the verdicts.
        retries: says which deliveries are tried again later instead.
        fail: told when a lane meets an error that must stop the worker.
        count: number of lanes.
    """

    def __init__(
        self,
        pipeline: "Pipeline",
        ledger: Ledger[Outcome],
        retries: RetryPlan,
        fail: Callable[[BaseException], None],
        count: int,
    ) -> None:
        self._pipeline = pipeline
        self._ledger = ledger
        self._retries = retries
        self._fail = fail
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._closed = threading.Event()

    def dispatch(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        """Queue a delivery for the next free lane; returns at once."""
        self._threads.submit(self._judge, ticket, event, delivery)

    def close(self) -> None:
        """Drop what has not started; returns at once.

        What is at work ends with its decoder child.  Whatever is dropped stays uncommitted and is judged by
        whoever gets the partition next.
        """
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _judge(self, ticket: Ticket, event: Event, delivery: Delivery) -> None:
        if not self._ledger.is_current(ticket):
            self._ledger.drop(ticket)  # its partition went to another worker while it was queued
            return
        try:
            with ticket.trace.at_work(delivery.delivery_id, delivery.provider):
                began = time.monotonic()
                queue_s = began - ticket.polled_at
                STAGE_SECONDS.labels("queue").observe(queue_s)
                tracing.stage("queue", ticket.polled_at, began)
                judgement = self._pipeline.judge(delivery.audio_uri, delivery.expected_sha256)
                judgement = replace(judgement, stage_seconds={"queue": queue_s, **judgement.stage_seconds})
            verdict = make_verdict(
                delivery, judgement, self._pipeline.identity, event.origin, datetime.now(UTC), ticket.replay_id
            )
            self._ledger.complete(ticket, self._retries.outcome(event, verdict))
        except BaseException as error:  # noqa: BLE001 -- a lane that dies in silence would hold its partition for ever
            if not self._closed.is_set():
                self._fail(error)
