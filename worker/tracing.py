"""The trace of each delivery: continues the event's W3C trace context, tells of every stage, ends with the outcome.

Without an exporter (`worker.trace_export`) nothing is recorded, and an event's trace context passes on to its verdict
as it came.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.logs import printable
from worker.records import Coordinates

Headers = Sequence[tuple[str, bytes | None]]
Value = str | int | float | bool | None

_PARENT, _STATE = "traceparent", "tracestate"
_MOST_CHARACTERS: Final = {_PARENT: 128, _STATE: 512}  # what is longer is ignored; 512 is what the standard asks for
_MOST_ATTRIBUTE: Final = 256  # characters
_MOST_LINKS: Final = 100
_W3C: Final = TraceContextTextMapPropagator()
_NS: Final = 1_000_000_000

_tracer: Tracer | None = None


def record_with(tracer: Tracer | None) -> None:
    """Record what begins from now on with this tracer; None: record nothing."""
    global _tracer  # noqa: PLW0603 -- one for the process, as with the metrics and the log
    _tracer = tracer


class DeliveryTrace:
    """The span of one delivery, from its poll to its committed outcome.

    Args:
        span: it.
    """

    def __init__(self, span: Span) -> None:
        self._span = span

    @classmethod
    def begin(cls, headers: Headers, source: Coordinates, attempt: int = 0) -> "DeliveryTrace":
        """Begin where the sender's trace context leaves off; one that makes no sense is ignored.

        Args:
            headers: the event's.
            source: where it was polled.
            attempt: how often it went through the retries topic.
        """
        parent = remote_parent(headers)
        if _tracer is None:
            return cls(trace.INVALID_SPAN if parent is None else NonRecordingSpan(parent))
        context = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": source.topic,
            "messaging.destination.partition.id": str(source.partition),
            "messaging.kafka.offset": source.offset,
            "lossgate.attempt": attempt,
        }
        return cls(_tracer.start_span(f"process {source.topic}", context, SpanKind.CONSUMER, attributes))

    @property
    def context(self) -> SpanContext:
        """Its ids; not valid where there is no trace."""
        return self._span.get_span_context()

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, or None where there is no trace."""
        return trace.format_trace_id(self.context.trace_id) if self.context.is_valid else None

    def headers(self) -> list[tuple[str, bytes | None]]:
        """What the outcome's record carries, so that whoever reads it continues the trace."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span, Context()))
        return [(name, text.encode()) for name, text in carrier.items()]

    @contextmanager
    def at_work(self, delivery_id: str, provider: str) -> Iterator[None]:
        """Say on every span and log line of this block which delivery it is about."""
        self._set({"lossgate.delivery_id": delivery_id, "lossgate.provider": provider})
        known = {"delivery_id": delivery_id, "trace_id": self.trace_id}
        with (
            structlog.contextvars.bound_contextvars(**{name: each for name, each in known.items() if each is not None}),
            trace.use_span(self._span, record_exception=False, set_status_on_exception=False),
        ):
            yield

    def stage(self, name: str, began: float, ended: float) -> None:
        """Record a stage that is over, between two monotonic times, seconds."""
        if self._span.is_recording():
            _record(name, began, ended, trace.set_span_in_context(self._span, Context()))

    def end(self, attributes: Mapping[str, Value]) -> None:
        """Say what became of the delivery; only the first time counts."""
        if self._span.is_recording():
            self._set(attributes)
            self._span.end()

    def _set(self, attributes: Mapping[str, Value]) -> None:
        if self._span.is_recording():
            self._span.set_attributes({name: _clean(each) for name, each in attributes.items() if each is not None})


NO_TRACE: Final = DeliveryTrace(trace.INVALID_SPAN)


def stage(name: str, began: float, ended: float) -> None:
    """Record a stage of the delivery that is `at_work` on this thread, between two monotonic times, seconds."""
    if trace.get_current_span().is_recording():
        _record(name, began, ended, None)


@contextmanager
def transaction(traces: Sequence[DeliveryTrace]) -> Iterator[None]:
    """Record a Kafka transaction: a trace of its own, linked to those of the deliveries it settles."""
    if _tracer is None:
        yield
        return
    links = [Link(each.context) for each in traces if each.context.is_valid][:_MOST_LINKS]
    with _tracer.start_as_current_span(
        "kafka transaction", Context(), SpanKind.PRODUCER, {"lossgate.outcomes": len(traces)}, links=links
    ):
        yield


def remote_parent(headers: Headers) -> SpanContext | None:
    """Return the trace context of an event; None if it has none, or none that makes sense."""
    carrier: dict[str, str] = {}
    for name, content in headers:  # the last one of a name counts, as in Kafka's own clients
        if name in _MOST_CHARACTERS:
            carrier.pop(name, None)
            if content is not None and len(content) <= _MOST_CHARACTERS[name] and content.isascii():
                carrier[name] = content.decode("ascii")
    context = trace.get_current_span(_W3C.extract(carrier, Context())).get_span_context()
    return context if context.is_valid else None


def _record(name: str, began: float, ended: float, context: Context | None) -> None:
    if _tracer is not None:
        epoch_ns = time.time_ns() - round(time.monotonic() * _NS)
        span = _tracer.start_span(name, context, start_time=epoch_ns + round(began * _NS))
        span.end(epoch_ns + round(ended * _NS))


def _clean(value: Value) -> str | int | float | bool:
    """Names from events hold anything; one lone surrogate would cost the exporter the whole batch."""
    return printable(value, _MOST_ATTRIBUTE) if isinstance(value, str) else value or 0
