"""The lanes: what is logged, timed and traced while one works, and that its errors are told."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker.kafka.budget import Budget
from worker.kafka.event import Event
from worker.kafka.ledger import Ledger, Ticket
from worker.kafka.outcomes import Outcome
from worker.kafka.retry_plan import RetryPlan
from worker.lanes import Lanes
from worker.records import Coordinates, Decision, Delivery, DetectorIdentity, Judgement, Reason, Verdict
from worker.trace_export import recording
from worker.tracing import DeliveryTrace

SOURCE = Coordinates("deliveries", 0, 7, datetime(2026, 11, 22, tzinfo=UTC))
DELIVERY = Delivery(UUID(int=1), "d-1", "s3://a/b.flac", "Provider", datetime(2026, 11, 22, tzinfo=UTC))


class _Bench:
    """One lane, and a pipeline that notes what it sees."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self.ledger: Ledger[Outcome] = Ledger(Budget(10, 10**9, 0))
        self.ledger.assign([("deliveries", 0)])
        self.done = threading.Event()
        self.identity = DetectorIdentity("net", "1", "00" * 32, "p")
        self.lanes = Lanes(self, self.ledger, RetryPlan(0, 1.0), self._fail, 1)  # type: ignore[arg-type]

    def judge(self, *_: object) -> Judgement:
        """Note where this happens."""
        self.seen = {
            **structlog.contextvars.get_contextvars(),
            "span": trace.get_current_span().get_span_context().span_id,
        }
        if self.error is not None:
            raise self.error
        return Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "", stage_seconds={"decode": 1.0})

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.done.set()

    def run(self, delivery_trace: DeliveryTrace) -> Ticket:
        """Judge one delivery."""
        ticket = self.ledger.polled(SOURCE, 1, None, delivery_trace)
        assert ticket is not None
        self.lanes.dispatch(ticket, Event(SOURCE, b"k", b"v"), DELIVERY)
        deadline = time.monotonic() + 10
        while not (self.ledger.wait_until_ready(0.05) or self.done.is_set()):
            assert time.monotonic() < deadline
        return ticket


@pytest.fixture
def bench() -> Iterator[_Bench]:
    """A bench whose threads end."""
    made = _Bench()
    yield made
    made.lanes.close()


def test_lines_and_spans_of_a_lane_name_its_delivery(bench: _Bench) -> None:
    """A decoder that is lost, a bug's traceback: each says whose delivery it was, and stands in its trace."""
    with recording(InMemorySpanExporter()):
        delivery_trace = DeliveryTrace.begin([], SOURCE)
        bench.run(delivery_trace)
    assert bench.seen == {
        "delivery_id": "d-1",
        "trace_id": delivery_trace.trace_id,
        "span": delivery_trace.context.span_id,
    }


def test_the_wait_for_a_lane_is_a_stage(bench: _Bench) -> None:
    """Time in the queue is the worker's, not the decoder's: the log line tells it apart."""
    bench.run(DeliveryTrace.begin([], SOURCE))
    ((_, verdict),) = bench.ledger.take_ready(1).outcomes
    assert isinstance(verdict, Verdict)
    assert list(verdict.judgement.stage_seconds) == ["queue", "decode"]
    assert 0 <= verdict.judgement.stage_seconds["queue"] < 10


def test_an_error_of_a_lane_is_told(bench: _Bench) -> None:
    """A lane that died in silence would hold its partition for ever."""
    bench.error = RuntimeError("broken")
    bench.run(DeliveryTrace.begin([], SOURCE))
    assert bench.failure is bench.error
