"""A peer's own virtual environment, and the process that runs in it.

Peers are no dependencies of Lossgate: their requirements contradict ours.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from model.errors import ModelError
from model.training.peers.known import Peer

_MARK = "lossgate-installed.txt"


def _run(peer: Peer, *command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        message = f"{peer.name} is missing: `{' '.join(command)}` failed ({said[-1] if said else error})"
        raise ModelError(message) from error


def environment(peer: Peer, folder: Path) -> Path:
    """Return the Python of a peer's environment, made on first use.

    Raises:
        ModelError: it could not be installed; one line says what failed.
    """
    venv = folder / f"venv-{peer.name}"
    python, mark = venv / "bin" / "python", venv / _MARK
    if not mark.exists() or mark.read_text(encoding="utf-8").splitlines()[0] != peer.requirement:
        if not python.exists():
            _run(peer, sys.executable, "-m", "venv", str(venv))
        _run(peer, str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.requirement)
        frozen = _run(peer, str(python), "-m", "pip", "freeze")
        mark.write_text(f"{peer.requirement}\n{frozen}", encoding="utf-8")
    return python


def installed(peer: Peer, folder: Path) -> list[str]:
    """Return the pinned packages of a peer's environment, as pip names them."""
    return (folder / f"venv-{peer.name}" / _MARK).read_text(encoding="utf-8").splitlines()[1:]


class PeerProcess:
    """One process of a peer; its models are loaded once for all files."""

    def __init__(self, peer: Peer, python: Path, log: Path) -> None:
        """Start it.

        Args:
            peer: whom to start.
            python: of its environment.
            log: file that takes what it says on stderr.
        """
        self._log = log.open("a", encoding="utf-8")
        # CPU seconds are compared: a thread pool that spins would count against the peer.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [str(python), str(Path(__file__).parent / peer.child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **threads},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def ask(self, path: Path) -> dict[str, Any] | None:
        """Return the answer about a file; None where the process ended instead."""
        if self._process.stdin is None or self._process.stdout is None:
            return None
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._process.stdout.readline()
        answer: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
        return answer
