"""Fixtures of the integration tests."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.quick_detector import save_quick_detector


@pytest.fixture(scope="session")
def quick_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small detector of the released one's kind, for tests of what happens around it."""
    return save_quick_detector(tmp_path_factory.mktemp("quick-detector"))


@pytest.fixture
def free_ports() -> list[int]:
    """Ports that nobody listens on, for the workers' health servers."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
