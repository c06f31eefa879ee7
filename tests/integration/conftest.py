"""Fixtures of the integration tests."""

import socket
from contextlib import ExitStack
from pathlib import Path

import keras
import pytest

from model.artefact import save_artefact
from model.grid.search import build_grid_search
from model.network import build_network, join_detector
from model.pooling import Calibration


@pytest.fixture(scope="session")
def quick_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small detector of the released one's kind, for tests of what happens around it.

    Untrained, and it searches a fraction of what the released one does: a delivery costs a fraction of the time.
    """
    folder = tmp_path_factory.mktemp("quick-detector")
    keras.utils.set_random_seed(1)
    network = join_detector(build_network(filters=(2, 2, 2, 2)), build_grid_search(effort=0.1))
    save_artefact(folder, network, name="quick", version="0", calibration=Calibration())
    return folder


@pytest.fixture
def free_ports() -> list[int]:
    """Ports that nobody listens on, for the workers' health servers."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
