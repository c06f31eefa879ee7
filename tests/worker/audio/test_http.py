"""Objects over http: what servers may answer, and that nothing they do holds a child for long."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.worker.audio.conftest import Write, make_settings
from worker import metrics
from worker.audio.decoder_pool import DecoderPool
from worker.constants import KIB, MIB
from worker.exceptions import UnusableAudioError
from worker.records import Reason

DEADLINE_S = 3.0
DEAD_PORT = 1


class Server(ThreadingHTTPServer):
    """Answers by the name that is asked for; remembers what was asked."""

    daemon_threads = True
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def url(self, path: str) -> str:
        """Address of a path under the allowed prefix."""
        return f"http://127.0.0.1:{self.server_port}/in/{path}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a status, a redirect, an endless body, a slow one, or the file."""
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        if name.isdigit():
            self.send_response(int(name))
            self.send_header("Location", self.server.url("file"))
            self.end_headers()
            return
        if name == "once" and self.server.asked.count("once") < 2:
            self.send_response(503)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", '"v1"')
        if name == "gzip":
            self.send_header("Content-Encoding", "gzip")
        if name == "short":
            self.send_header("Content-Length", str(len(self.server.body) + 1))
        self.end_headers()
        with suppress(OSError):
            while name == "endless":
                self.wfile.write(bytes(64 * KIB))
            while name == "slow":
                self.wfile.write(b"f")
                time.sleep(0.1)
            while name == "silent":
                time.sleep(0.1)
            self.wfile.write(self.server.body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A web server."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture(scope="module")
def http_pool(server: Server) -> Iterator[DecoderPool]:
    """A pool that reads from the server, 4 MiB and three seconds at most."""
    settings = make_settings(
        server.url(""),
        f"http://127.0.0.1:{DEAD_PORT}/",
        max_object_bytes=4 * MIB,
        decode_deadline_s=DEADLINE_S,
        fetch_attempts=2,
    )
    with DecoderPool(settings) as decoders:
        decoders.warm_up()
        yield decoders


def reason_of(http_pool: DecoderPool, url: str) -> Reason:
    """The reason an address is refused for."""
    with pytest.raises(UnusableAudioError) as caught:
        http_pool.read(url, None)
    return caught.value.reason


def test_reads_whole_and_hashed(http_pool: DecoderPool, server: Server, pool: DecoderPool, write: Write) -> None:
    """The same windows as from a local file, with the hash of everything and the ETag."""
    path: Path = write()
    server.body = path.read_bytes()
    audio = http_pool.read(server.url("file"), hashlib.sha256(server.body).hexdigest())
    np.testing.assert_array_equal(pool.read(str(path), None).segments, audio.segments)
    assert hashlib.sha256(server.body).hexdigest() == audio.facts.sha256
    assert audio.facts.version_tag == '"v1"'


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, Reason.NOT_FOUND),
        (410, Reason.NOT_FOUND),
        (401, Reason.ACCESS_DENIED),
        (403, Reason.ACCESS_DENIED),
        (418, Reason.FETCH_FAILED),
        (429, Reason.FETCH_FAILED),
        (503, Reason.FETCH_FAILED),
        (301, Reason.URI_NOT_ALLOWED),
        (302, Reason.URI_NOT_ALLOWED),
        (308, Reason.URI_NOT_ALLOWED),
        (204, Reason.FETCH_FAILED),
    ],
)
def test_statuses(http_pool: DecoderPool, server: Server, status: int, reason: Reason) -> None:
    """Every status ends in its reason; only those that may pass are asked twice, and no redirect is followed."""
    server.asked.clear()
    assert reason == reason_of(http_pool, server.url(str(status)))
    assert [str(status)] * (2 if status in (429, 503) else 1) == server.asked


def test_retries_what_may_pass(http_pool: DecoderPool, server: Server, write: Write) -> None:
    """One 503 costs one retry, which is counted."""
    server.body = write().read_bytes()
    before = metrics.FETCH_RETRIES._value.get()
    assert http_pool.read(server.url("once"), None).facts.total_samples == 400_000
    assert before + 1 == metrics.FETCH_RETRIES._value.get()


def test_endless_body(http_pool: DecoderPool, server: Server) -> None:
    """The size limit counts what arrives, not what is announced."""
    assert reason_of(http_pool, server.url("endless")) == Reason.OBJECT_TOO_LARGE


@pytest.mark.parametrize("name", ["slow", "silent"])
def test_slow_body(http_pool: DecoderPool, server: Server, name: str) -> None:
    """A body that trickles or stops is given up within the deadline."""
    started = time.monotonic()
    assert reason_of(http_pool, server.url(name)) in (Reason.FETCH_FAILED, Reason.DECODE_TIMEOUT)
    assert time.monotonic() - started < DEADLINE_S + 1


@pytest.mark.parametrize("name", ["short", "gzip"])
def test_broken_bodies(http_pool: DecoderPool, server: Server, write: Write, name: str) -> None:
    """A body shorter than announced isn't judged, nor is one that is encoded."""
    server.body = write().read_bytes()
    assert reason_of(http_pool, server.url(name)) == Reason.FETCH_FAILED


def test_dead_server(http_pool: DecoderPool) -> None:
    """Nobody listens: tried again, then given up."""
    assert reason_of(http_pool, f"http://127.0.0.1:{DEAD_PORT}/a.flac") == Reason.FETCH_FAILED
