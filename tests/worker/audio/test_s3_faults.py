"""A failing S3 store: each failure ends in its reason, and only what may pass is tried again and put off."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.worker.audio.conftest import Write, make_settings
from worker.audio.decoder_pool import DecoderPool
from worker.exceptions import UnusableAudioError
from worker.records import FetchFault, Reason

DEADLINE_S = 6.0
FETCHES = 2
MOST_REQUESTS = 40  # of one delivery: two tries, some requests each, that the S3 client repeats itself

_CODES = {403: "AccessDenied", 404: "NoSuchKey", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}


class Store(ThreadingHTTPServer):
    """Answers by the key that is asked for."""

    daemon_threads = True
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Only the headers."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Headers and the range that is asked for."""
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        key = self.path.rpartition("/")[2].partition("?")[0]
        self.server.asked[key] += 1
        if key.isdigit():
            status = int(key)
            content = f"<?xml version='1.0'?><Error><Code>{_CODES[status]}</Code></Error>".encode()
            self._head(status, len(content), "application/xml")
            if with_body:
                self.wfile.write(content)
            return
        body = self.server.body
        first, last = 0, len(body) - 1
        if (asked := self.headers.get("Range", "")).startswith("bytes="):
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end) if end else last, last)
        if first >= len(body):
            self._head(416, 0, "audio/flac")
            return
        part = body[first : last + 1]
        self._head(206 if asked else 200, len(part), "audio/flac", (first, last, len(body)))
        if with_body:
            self._send(key, part, is_start=first == 0)

    def _send(self, key: str, part: bytes, *, is_start: bool) -> None:
        with suppress(OSError):
            if key == "cut" and not is_start:
                self.wfile.write(part[: len(part) // 2])
                self.close_connection = True
                return
            if key == "slow" and not is_start:
                for byte in part:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.05)
                return
            while key == "silent":
                time.sleep(0.1)
            self.wfile.write(part)

    def _head(self, status: int, length: int, kind: str, part: tuple[int, int, int] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", kind)
        self.send_header("Last-Modified", formatdate(1_790_000_000, usegmt=True))
        self.send_header("ETag", '"v1"')
        if part is not None and status == 206:
            self.send_header("Content-Range", "bytes {}-{}/{}".format(*part))
        self.end_headers()


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A running store."""
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def faulty_pool(store: Store) -> Iterator[DecoderPool]:
    """A pool whose children know the store; two tries, six seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{store.server_port}")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        settings = make_settings(
            "s3://masters/in", fetch_attempts=FETCHES, whole_object_bytes=10**9, decode_deadline_s=DEADLINE_S
        )
        with DecoderPool(settings) as decoders:
            decoders.warm_up()
            yield decoders


@pytest.mark.parametrize(
    ("key", "reason", "faults"),
    [
        ("403", Reason.ACCESS_DENIED, {None}),
        ("404", Reason.NOT_FOUND, {None}),
        ("429", Reason.FETCH_FAILED, {FetchFault.STORE}),
        ("500", Reason.FETCH_FAILED, {FetchFault.STORE}),
        ("503", Reason.FETCH_FAILED, {FetchFault.STORE}),  # tensorflow-io does not tell which status it was
        ("cut", Reason.FETCH_FAILED, {FetchFault.CONNECTION}),
        ("slow", Reason.FETCH_FAILED, {FetchFault.SLOW}),
        ("silent", Reason.FETCH_FAILED, {FetchFault.SLOW}),
    ],
)
def test_faults(
    faulty_pool: DecoderPool, store: Store, write: Write, key: str, reason: Reason, faults: set[FetchFault | None]
) -> None:
    """What will not pass has its reason at once; what may pass says so, within the deadline and without a storm."""
    store.body = write().read_bytes()
    store.asked.clear()
    faulty_pool.warm_up()  # the child of a killed one takes its time
    started = time.monotonic()
    with pytest.raises(UnusableAudioError) as caught:
        faulty_pool.read(f"s3://masters/in/{key}", None)
    assert caught.value.reason == reason
    assert caught.value.passing in faults
    assert time.monotonic() - started < DEADLINE_S + 2
    assert store.asked[key] <= MOST_REQUESTS
