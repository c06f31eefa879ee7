"""What the JVMs of the demo and the tests share: a port of their own, and a death with their parent."""

import contextlib
import os
import random
import socket
import sys

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


def dies_with_parent(command: list[str]) -> list[str]:
    """Command line of a process that the kernel kills once the thread that started it is gone."""
    return [sys.executable, "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def free_port(but: int | None = None) -> int | None:
    """Return a port that nobody listens on, not `but`; None where there is none."""
    for port in random.sample(PORTS, 200):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            if port != but:
                return port
    return None
