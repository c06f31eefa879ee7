"""`/metrics`, `/startup`, `/live` and `/ready` over HTTP.

`/startup` fails until the poll loop has come round once: the network is warm then, and `/live` means something.
`/live` fails when the poll loop has not come round for `LIVENESS_LIMIT_S`: the process is stuck and is to be restarted.
`/ready` fails until the network is warm and partitions are assigned, and again while draining.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import make_wsgi_app

from worker.constants import LIVENESS_LIMIT_S
from worker.exceptions import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_REQUEST_TIMEOUT_S = 10.0  # a client that stalls must not hold a thread for ever

log = structlog.get_logger(__name__)


class HealthState:
    """What the probes report.  Thread-safe.

    Args:
        limit_s: age of the last heartbeat at which the process counts as stuck.
        clock: monotonic seconds.
    """

    def __init__(self, limit_s: float = LIVENESS_LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last_heartbeat = clock()  # the start counts, so that a slow start is alive
        self._started = False
        self._ready = False
        self._why = "starting"

    def heartbeat(self) -> None:
        """Say that the loop has come round."""
        with self._lock:
            self._last_heartbeat = self._clock()
            self._started = True

    def set_ready(self, ready: bool, why: str) -> None:  # noqa: FBT001 -- reads well at the call: set_ready(True, "assigned")
        """Say whether deliveries are being taken, and why or why not."""
        with self._lock:
            self._ready, self._why = ready, why

    def live(self) -> tuple[bool, str]:
        """Whether the loop still comes round, and a sentence."""
        with self._lock:
            age_s = self._clock() - self._last_heartbeat
        alive = age_s < self._limit_s
        return alive, f"last heartbeat {age_s:.1f} s ago, limit {self._limit_s:.0f} s"

    def started(self) -> tuple[bool, str]:
        """Whether the loop has come round at all, and a sentence."""
        with self._lock:
            return self._started, "the poll loop runs" if self._started else "the poll loop has not begun"

    def ready(self) -> tuple[bool, str]:
        """Whether deliveries are being taken, and why or why not."""
        with self._lock:
            return self._ready, self._why


class HealthServer:
    """Serves the probes and the metrics on a thread of its own.  A context manager.

    Args:
        host: address to listen on.
        port: port to listen on; 0 picks a free one, see `port`.
        state: what to report.
        variable: the setting the port comes from.
    """

    def __init__(self, host: str, port: int, state: HealthState, variable: str = "LOSSGATE_HEALTH_PORT") -> None:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
            server_class = type("_Server", (_ThreadingServer,), {"address_family": family})
            self._server: WSGIServer = make_server(host, port, _application(state), server_class, _QuietHandler)
        except OSError as error:
            msg = (
                f"The health server can't listen on {host}:{port}: {error.strerror or error}. "
                f"Set LOSSGATE_HEALTH_HOST and {variable} (0 picks a free port)."
            )
            raise SettingsError(msg) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def __enter__(self) -> Self:
        self._thread.start()
        log.info("health_server_started", port=self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a slow scrape doesn't hold up the exit


class _QuietHandler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name the base class gives it
        """Keep the probes of every few seconds out of the log."""


def _application(state: HealthState) -> "WSGIApplication":
    metrics: WSGIApplication = make_wsgi_app()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _answer(start_response, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET and HEAD are answered"})
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/startup":
            return _probe(start_response, *state.started())
        if path == "/live":
            return _probe(start_response, *state.live())
        if path == "/ready":
            return _probe(start_response, *state.ready())
        return _answer(
            start_response, HTTPStatus.NOT_FOUND, {"error": "known are /startup, /live, /ready and /metrics"}
        )

    return application


def _probe(start_response: "StartResponse", ok: bool, why: str) -> Iterable[bytes]:  # noqa: FBT001 -- one of two answers
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return _answer(start_response, status, {"status": "ok" if ok else "failing", "reason": why})


def _answer(start_response: "StartResponse", status: HTTPStatus, body: dict[str, str]) -> Iterable[bytes]:
    content = json.dumps(body).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [content]
