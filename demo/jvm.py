"""What the JVMs of demo and tests share: a program from Maven Central, a port, a death with their parent."""

import contextlib
import fcntl
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HOST = "127.0.0.1"

# Ports below the range the system takes for outgoing connections (32768 and up on Linux): a client that tries
# to reach a stopped server on a port of that range can end up connected to itself, and then holds the port.
PORTS = range(20_000, 32_000)

# Run by the interpreter before it becomes java: the JVM dies with the thread that started it, however that dies.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""

_REPOSITORY = Path(__file__).parent.parent
_FETCH_DEADLINE_S = 600.0
_LOG_TAIL_LINES = 15


class LocalServerError(Exception):
    """A local server can't run here; the message says why and what to do."""


def dies_with_parent(command: list[str]) -> list[str]:
    """Command line of a process that the kernel kills once the thread that started it is gone."""
    return [sys.executable, "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def free_port(but: int | None = None) -> int:
    """Return a port that nobody listens on, not `but`.

    Raises:
        LocalServerError: there is none.
    """
    for port in random.sample(PORTS, 200):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            if port != but:
                return port
    raise LocalServerError(f"No free port between {PORTS.start} and {PORTS.stop} on {HOST}.")


def fetched_once(name: str, fetch: Callable[[Path], None], cache: Path | None = None) -> Path:
    """Return a folder of the cache; where it isn't there yet, it is made of what `fetch` puts into an empty one.

    Args:
        name: of the folder.
        fetch: fills the folder it is given, or raises, which leaves none behind.
        cache: `$LOSSGATE_CACHE` or `.cache` in the repository by default.
    """
    folder = (cache or Path(os.environ.get("LOSSGATE_CACHE") or _REPOSITORY / ".cache")) / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once fetch once
        if not folder.is_dir():
            partial = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.parent))
            try:
                fetch(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


def run_to_end(command: Sequence[str], deadline_s: float, folder: Path | None = None) -> tuple[bool, str]:
    """Run a program; return whether it went well, and the end of what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=deadline_s,
        check=False,
    )
    return done.returncode == 0, tail(done.stdout)


def run_maven(arguments: Sequence[str], folder: Path | None = None) -> tuple[bool, str]:
    """Run Maven; see `run_to_end`."""
    return run_to_end(["mvn", "-q", "-B", *arguments], _FETCH_DEADLINE_S, folder)


def tail(text: str) -> str:
    """Return the last lines of a log, for a message."""
    return "\n".join(text.strip().splitlines()[-_LOG_TAIL_LINES:])
