"""One decoder child as the worker sees it: start it, ask it, kill it."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from worker.audio.child_protocol import DECODING, FETCHING, READY, Answer, Request, receive_answer, send_request
from worker.exceptions import UnusableAudioError
from worker.records import FetchFault, Reason

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    # C's allocator keeps one arena a core by default and gives little back.
    "MALLOC_ARENA_MAX": "2",
}
_DEFAULTS = {
    # Left alone, the S3 client of tensorflow-io asks a dead endpoint for 50 to 100 s.
    "AWS_MAX_ATTEMPTS": "2",
    "AWS_RETRY_MODE": "standard",
    "S3_CONNECT_TIMEOUT_MSEC": "5000",
    "S3_REQUEST_TIMEOUT_MSEC": "10000",
}
_STDERR_BYTES = 2000


class ChildProcess:
    """One decoder child.

    Args:
        settings: `child_protocol.encode_settings`.
    """

    def __init__(self, settings: str) -> None:
        ours, theirs = socket.socketpair()
        # Decoders print past every logger; what they say is kept for the case that the child can't start.
        self._stderr = tempfile.TemporaryFile(prefix="lossgate-")  # noqa: SIM115 -- lives as long as the child
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
                [sys.executable, "-m", "worker.audio.decoder_child", str(theirs.fileno()), settings],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=_environment(),
                start_new_session=True,  # the terminal's Ctrl-C isn't for it
            )
        self._connection = Connection(ours.detach())
        self.tasks = 0
        self.stage_seconds: dict[str, float] = {}  # of the last request

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def memory_bytes(self) -> int:
        """Resident memory; 0 once it has ended, or where the kernel does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_until_ready(self, limit_s: float) -> bool:
        """Wait until TensorFlow is loaded; False if the child ends or takes too long."""
        try:
            return self._connection.poll(limit_s) and self._connection.recv_bytes() == READY
        except (EOFError, OSError):
            return False

    def ask(self, request: Request, deadline_s: float, max_windows: int) -> Answer:
        """Have an object read.  After an error the child is useless.

        Raises:
            UnusableAudioError: FETCH_FAILED, DECODE_TIMEOUT or DECODER_CRASHED.
        """
        self.tasks += 1
        stages: list[bytes] = []
        marks = [time.monotonic()]
        self.stage_seconds = {}

        def on_stage(stage: bytes) -> None:
            stages.append(stage)
            if stage == DECODING:
                marks[1:] = [time.monotonic()]  # the last one counts: what was held before was fetched again

        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()  # which ends the wait below, wherever it is

        timer = threading.Timer(deadline_s, expire)
        timer.daemon = True
        timer.start()
        try:
            send_request(self._connection, request)
            answer = receive_answer(self._connection, max_windows, on_stage)
        except (EOFError, OSError):
            answer = None
        except (ValueError, KeyError, TypeError) as error:
            msg = f"The decoder's answer for this object makes no sense ({error})."
            raise UnusableAudioError(Reason.DECODER_CRASHED, msg) from error
        finally:
            timer.cancel()
            timer.join()
            ends = [*marks[1:], time.monotonic()]
            self.stage_seconds = {
                stage: end - begin for stage, begin, end in zip(("fetch", "decode"), marks, ends, strict=False)
            }
        if expired.is_set() and stages[-1:] == [FETCHING]:
            msg = f"The store did not deliver the object within {deadline_s:g} s (LOSSGATE_DECODE_DEADLINE_S)."
            raise UnusableAudioError(Reason.FETCH_FAILED, msg, FetchFault.SLOW)
        if expired.is_set():
            msg = (
                f"Fetching and decoding took longer than {deadline_s:g} s (LOSSGATE_DECODE_DEADLINE_S); "
                "the decoder was killed."
            )
            raise UnusableAudioError(Reason.DECODE_TIMEOUT, msg)
        if answer is None:
            code = self._process.wait()
            ending = f"signal {-code}" if code < 0 else f"exit status {code}"
            raise UnusableAudioError(Reason.DECODER_CRASHED, f"The decoder died on this object ({ending}).")
        return answer

    def kill(self) -> None:
        """End the child at once; whoever waits for its answer gets an error."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the child and let go of what belonged to it; only for whoever holds it."""
        self.kill()
        self._connection.close()
        self._stderr.close()

    def last_words(self) -> str:
        """The end of what the child wrote to stderr."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_BYTES))
        return self._stderr.read().decode(errors="replace")


def _environment() -> dict[str, str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**_DEFAULTS, **os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
