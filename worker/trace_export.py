"""Sends the spans to an OpenTelemetry collector (OTLP over HTTP), where the environment names one.

The variables are OpenTelemetry's own (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
`OTEL_TRACES_SAMPLER`, …).  The exporter has a thread and a bounded queue of its own: while the collector is away,
spans are lost and counted, and nothing else happens.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from worker import __version__, metrics, tracing
from worker.exceptions import SettingsError

log = structlog.get_logger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CLOSE_S: Final = 3.0  # for the last spans, when the worker ends
_COMPLAIN_EVERY_S: Final = 60.0
_TALKATIVE: Final = ("opentelemetry.exporter", "opentelemetry.sdk.trace.export", "opentelemetry.trace.span")


@contextmanager
def open_tracing() -> Iterator[None]:
    """Record and send spans inside this block, if the environment names an endpoint; else do nothing.

    Raises:
        SettingsError: the exporter can't work with what the environment says.
    """
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None or is_disabled:
        yield
        return
    try:
        exporter = OTLPSpanExporter()
    except ValueError as error:
        raise SettingsError(f"Traces can't be sent; see the variables OTEL_EXPORTER_OTLP_*: {error}") from error
    with recording(exporter):
        log.info("traces_are_sent", endpoint=endpoint)
        yield


@contextmanager
def recording(exporter: SpanExporter, schedule_delay_ms: float | None = None) -> Iterator[None]:
    """Record spans inside this block and hand them to an exporter, on a thread of its own.

    Args:
        exporter: takes the spans; may fail, and may take its time.
        schedule_delay_ms: longest wait of a span; None: what `OTEL_BSP_SCHEDULE_DELAY` says, or 5 s.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is counted and logged below
    resource = Resource.create(
        {"service.version": __version__}
        if os.environ.get("OTEL_SERVICE_NAME")
        else {"service.name": "lossgate", "service.version": __version__}
    )
    # Its exit handler would wait for a collector that is away.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_Queue(_Watched(exporter), schedule_delay_ms))
    tracing.record_with(provider.get_tracer("lossgate", __version__))
    try:
        yield
    finally:
        tracing.record_with(None)
        closing = threading.Thread(target=provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)


class _Queue(BatchSpanProcessor):
    """Counts the spans for which there was no room."""

    def __init__(self, exporter: SpanExporter, schedule_delay_ms: float | None) -> None:
        if schedule_delay_ms is None:
            super().__init__(exporter)  # the environment counts
        else:
            super().__init__(exporter, schedule_delay_millis=schedule_delay_ms)

    def on_end(self, span: ReadableSpan) -> None:
        if len(self.queue) >= self.max_queue_size:  # the oldest one makes room
            metrics.SPANS.labels("dropped").inc()
        super().on_end(span)


class _Watched(SpanExporter):
    """Keeps count of an exporter's successes, and its failures to itself."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._complained_at = -_COMPLAIN_EVERY_S

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result, why = self._exporter.export(spans), "refused"
        except Exception as error:  # noqa: BLE001 -- whatever it is, judging goes on
            result, why = SpanExportResult.FAILURE, f"{type(error).__name__}: {error}"
        is_sent = result is SpanExportResult.SUCCESS
        metrics.SPANS.labels("sent" if is_sent else "failed").inc(len(spans))
        now = time.monotonic()
        if not is_sent and now - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = now
            log.warning("traces_not_sent", spans=len(spans), error=why)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
