"""An object store over HTTP that is slow, fails, hangs and cuts: per object by a script from the seed."""

import random
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_HANG_S = 8.0  # longer than the run's decode deadline
_SLOW_PIECES = 10
_SLOW_S = 0.1  # a piece
_BAD = ("503", "hang", "cut", "slow", "refuse")


class BadStore:
    """Serves `/<number>.flac`; a context manager.

    Args:
        files: what it serves, one after another by number.
        seed: any number; decides which object fails how, and how often.
        bad_share: share of the objects that fail before they work, 0 to 1.
    """

    def __init__(self, files: list[Path], seed: int, bad_share: float = 0.4) -> None:
        self._bodies = [file.read_bytes() for file in files]
        self._seed = seed
        self._bad_share = bad_share
        self._asked: defaultdict[int, int] = defaultdict(int)
        self._lock = threading.Lock()
        self.is_out = False
        self.answers: Counter[str] = Counter()
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store._answer(self)

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def prefix(self) -> str:
        """What its addresses begin with."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def uri(self, number: int) -> str:
        """Address of an object."""
        return f"{self.prefix}{number}.flac"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        number = int(request.path.strip("/").split(".")[0])
        with self._lock:
            asked = self._asked[number]
            self._asked[number] += 1
            script = self._script(number)
            how = "503" if self.is_out else script[asked] if asked < len(script) else "whole"
            self.answers[how] += 1
        body = self._bodies[number % len(self._bodies)]
        try:
            _answer_as(how, request, body)
        except OSError:
            return  # the worker, or its child, went away

    def _script(self, number: int) -> list[str]:
        chance = random.Random(f"object {self._seed} {number}")  # noqa: S311 -- a plan
        if chance.random() >= self._bad_share:
            return []
        return chance.choices(_BAD, k=chance.randint(1, 3))


def _answer_as(how: str, request: BaseHTTPRequestHandler, body: bytes) -> None:
    if how == "refuse":
        request.close_connection = True
        request.connection.close()
        return
    if how == "hang":
        time.sleep(_HANG_S)
        return
    if how == "503":
        request.send_error(503)
        return
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if how == "cut":
        request.wfile.write(body[: len(body) // 2])
        request.close_connection = True
        return
    pieces = _SLOW_PIECES if how == "slow" else 1
    size = -(-len(body) // pieces)
    for start in range(0, len(body), size):
        request.wfile.write(body[start : start + size])
        if how == "slow":
            time.sleep(_SLOW_S)
