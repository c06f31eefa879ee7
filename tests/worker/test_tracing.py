"""Traces: the sender's is continued, nonsense is ignored, every stage and the outcome stand in it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker import tracing
from worker.records import Coordinates
from worker.tracing import DeliveryTrace, remote_parent

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01".encode()
SOURCE = Coordinates("deliveries", 3, 42, datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Everything that is recorded, at once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.record_with(provider.get_tracer("test"))
    yield exporter
    tracing.record_with(None)


def test_the_sender_s_trace_is_continued_to_the_verdict(spans: InMemorySpanExporter) -> None:
    """The delivery's span is a child of the sender's, and the outcome's reader continues from the delivery's."""
    delivery = DeliveryTrace.begin([("traceparent", TRACEPARENT), ("tracestate", b"shop=1")], SOURCE)
    headers = dict(delivery.headers())
    delivery.end({"lossgate.outcome": "REJECT", "lossgate.reason": "LOSSY_TRACES", "lossgate.codec": None})
    (span,) = spans.get_finished_spans()
    assert delivery.trace_id == TRACE_ID
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN_ID
    assert span.context is not None
    assert headers == {
        "traceparent": f"00-{TRACE_ID}-{span.context.span_id:016x}-01".encode(),
        "tracestate": b"shop=1",
    }
    assert span.attributes is not None
    assert span.attributes["lossgate.outcome"] == "REJECT"
    assert span.attributes["messaging.kafka.offset"] == 42
    assert "lossgate.codec" not in span.attributes


def test_stages_lie_inside_the_delivery_with_its_names(spans: InMemorySpanExporter) -> None:
    """Queue, fetch, detect, publish: each is a span of its own, as long as it lasted, below the delivery's."""
    delivery = DeliveryTrace.begin([], SOURCE, attempt=2)
    now = time.monotonic()
    with delivery.at_work("d-1\u202e", "Provider"):
        bound = structlog.contextvars.get_contextvars()
        tracing.stage("fetch", now - 2.0, now - 0.5)
    delivery.stage("publish", now, now + 0.25)
    delivery.end({})
    fetch, publish, whole = spans.get_finished_spans()
    assert bound == {"delivery_id": "d-1\u202e", "trace_id": delivery.trace_id}
    assert "delivery_id" not in structlog.contextvars.get_contextvars()
    assert [each.name for each in (fetch, publish, whole)] == ["fetch", "publish", "process deliveries"]
    for each, seconds in ((fetch, 1.5), (publish, 0.25)):
        assert each.parent == whole.context
        assert each.start_time is not None
        assert each.end_time is not None
        assert (each.end_time - each.start_time) / 1e9 == pytest.approx(seconds, abs=1e-3)
        assert abs(each.end_time / 1e9 - time.time()) < 60
    assert whole.attributes is not None
    assert whole.attributes["lossgate.delivery_id"] == "d-1\\u202e"
    assert whole.attributes["lossgate.attempt"] == 2


def test_a_transaction_links_the_deliveries_it_settles(spans: InMemorySpanExporter) -> None:
    """A batch belongs to no single trace; its links lead to all of them."""
    first, second = DeliveryTrace.begin([("traceparent", TRACEPARENT)], SOURCE), DeliveryTrace.begin([], SOURCE)
    with pytest.raises(RuntimeError), tracing.transaction([first, second, tracing.NO_TRACE]):
        raise RuntimeError("aborted")
    (span,) = spans.get_finished_spans()
    assert [link.context for link in span.links] == [first.context, second.context]
    assert not span.status.is_ok
    assert span.context is not None
    assert span.context.trace_id not in {first.context.trace_id, second.context.trace_id}


def test_without_an_exporter_the_trace_passes_through() -> None:
    """Whoever reads the verdict still finds the sender's trace, and the log names it."""
    delivery = DeliveryTrace.begin([("traceparent", TRACEPARENT)], SOURCE)
    assert delivery.headers() == [("traceparent", TRACEPARENT)]
    assert delivery.trace_id == TRACE_ID
    assert DeliveryTrace.begin([], SOURCE).headers() == []
    assert DeliveryTrace.begin([], SOURCE).trace_id is None


def test_what_the_sender_does_not_record_is_not_recorded(spans: InMemorySpanExporter) -> None:
    """The sampled flag is the sender's word; its trace id is passed on nevertheless."""
    delivery = DeliveryTrace.begin([("traceparent", TRACEPARENT[:-1] + b"0")], SOURCE)
    with delivery.at_work("d-1", "p"):
        tracing.stage("fetch", 0.0, 1.0)
    delivery.end({})
    assert spans.get_finished_spans() == ()
    assert delivery.trace_id == TRACE_ID


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"garbage",
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        TRACEPARENT.upper(),
        TRACEPARENT + b"-more",
        b"ff" + TRACEPARENT[2:],
        TRACEPARENT + b"\xff",
        TRACEPARENT + b" " * 100_000,
    ],
)
def test_a_traceparent_that_makes_no_sense_is_ignored(content: bytes | None) -> None:
    """It comes from outside: at worst the delivery has a trace of its own."""
    assert remote_parent([("traceparent", content)]) is None


def test_the_last_header_counts_and_a_large_tracestate_is_left_out() -> None:
    """As in Kafka's own clients; and nobody may grow our records with theirs."""
    assert remote_parent([("traceparent", TRACEPARENT), ("traceparent", b"garbage")]) is None
    headers = [("tracestate", b"a=" + b"x" * 600), ("traceparent", b"garbage"), ("traceparent", TRACEPARENT)]
    parent = remote_parent(headers)
    assert parent is not None
    assert not parent.trace_state


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "x"]), st.none() | st.binary(max_size=200))))
def test_no_header_raises(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever stands there, the event is judged."""
    passed_on = DeliveryTrace.begin(headers, SOURCE).headers()
    assert DeliveryTrace.begin(passed_on, SOURCE).headers() == passed_on
