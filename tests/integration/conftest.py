"""Fixtures of the integration tests."""

import socket
from contextlib import ExitStack

import pytest


@pytest.fixture
def free_ports() -> list[int]:
    """Ports that nobody listens on, for the workers' health servers."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
