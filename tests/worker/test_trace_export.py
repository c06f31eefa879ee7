"""Sending traces: off unless asked for, and a collector that is away, slow or broken harms nothing but the traces."""

import http.server
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker import metrics, trace_export
from worker.exceptions import SettingsError
from worker.records import Coordinates
from worker.trace_export import open_tracing, recording
from worker.tracing import DeliveryTrace

SOURCE = Coordinates("deliveries", 0, 0, datetime(2026, 11, 22, tzinfo=UTC))


class _Exporter(SpanExporter):
    """Hangs, or fails as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = threading.Event()
        self.go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Fail, or wait."""
        del spans
        self.asked.set()
        if self.error is not None:
            raise self.error
        self.go.wait(60)
        return SpanExportResult.SUCCESS


def _count(result: str) -> float:
    return metrics.SPANS.labels(result)._value.get()


def _deliver(count: int = 1) -> None:
    for _ in range(count):
        DeliveryTrace.begin([], SOURCE).end({"lossgate.outcome": "ACCEPT"})


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_recorded_without_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pays for traces that go nowhere; and the standard switch turns them off."""
    with open_tracing():
        assert not DeliveryTrace.begin([], SOURCE).context.is_valid
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with open_tracing():
        assert not DeliveryTrace.begin([], SOURCE).context.is_valid


def test_the_last_spans_are_sent_before_the_worker_ends() -> None:
    """A drained worker's last deliveries are in the traces, with the service's name."""
    exporter = InMemorySpanExporter()
    with recording(exporter):
        _deliver(3)
    spans = exporter.get_finished_spans()
    assert len(spans) == 3
    assert spans[0].resource.attributes["service.name"] == "lossgate"


def test_spans_arrive_at_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, as OTLP, under the path that the standard says, with the headers that were asked for."""
    asked: list[tuple[str, str | None, ExportTraceServiceRequest]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            """Take what comes."""
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["api-key"], request))
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k1")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
        sent = _count("sent")
        with open_tracing():
            _deliver(2)
        server.shutdown()
    assert [(path, key) for path, key, _ in asked] == [("/v1/traces", "k1")] * 2
    resources = [each for _, _, request in asked for each in request.resource_spans]
    spans = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["process deliveries"] * 2
    assert _count("sent") - sent == 2


def test_a_collector_that_is_away_costs_spans_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real exporter, a port nobody listens on: deliveries go on, the loss is counted and told once."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    failed = _count("failed")
    with open_tracing():
        began = time.monotonic()
        _deliver(600)
        assert time.monotonic() - began < 5
    assert _count("failed") - failed == 600
    written = "".join(capfd.readouterr())
    assert written.count("traces_not_sent") == 1
    assert "Traceback" not in written


def test_an_exporter_that_hangs_holds_up_neither_deliveries_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is bounded: what finds no room is counted, and the worker does not wait for the collector to end."""
    monkeypatch.setattr(trace_export, "_CLOSE_S", 0.2)
    dropped = _count("dropped")
    exporter = _Exporter()
    with recording(exporter, schedule_delay_ms=1):
        _deliver()
        assert exporter.asked.wait(10)
        _deliver(2_048 + 100)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert _count("dropped") - dropped >= 100
    exporter.go.set()


def test_an_exporter_that_raises_is_called_again() -> None:
    """A fault of the exporter's own ends neither its thread nor ours."""
    exporter = _Exporter(RuntimeError("no"))
    failed = _count("failed")
    with recording(exporter, schedule_delay_ms=1):
        _deliver()
        assert exporter.asked.wait(10)
        exporter.asked.clear()
        _deliver()
        assert exporter.asked.wait(10)
    assert _count("failed") - failed == 2


def test_a_setting_that_can_t_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a stack trace at the start."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP"), open_tracing():
        pass
