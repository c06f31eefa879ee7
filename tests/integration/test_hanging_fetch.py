"""A store that accepts and never answers: the worker stays alive, and SIGTERM still ends it in its set time."""

import socket
import time
import urllib.request
from pathlib import Path

import pytest

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import (
    Topics,
    committed,
    delivery_of,
    publish,
    wire,
    worker_process,
    worker_settings,
)

DRAIN_S = 2.0
CLOSE_S = 15.0  # publisher and group take their leave; the least is seconds, on a busy machine more


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_sigterm_ends_in_time_while_a_fetch_hangs(
    local_kafka: LocalKafka, topics: Topics, free_ports: list[int], quick_detector: Path, tmp_path: Path
) -> None:
    """What hangs is given up at the drain deadline, uncommitted, without a verdict; until then the loop is alive."""
    silent = socket.create_server(("127.0.0.1", 0))  # accepts in the kernel and never answers
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    publish(local_kafka.bootstrap_servers, topics.deliveries, [wire().encode_delivery(delivery_of(f"{url}a", "a"))])
    settings = worker_settings(local_kafka.bootstrap_servers, topics, tmp_path, free_ports[0]) | {
        "LOSSGATE_ALLOWED_URI_PREFIXES": f'["{url}"]',
        "LOSSGATE_MODEL_DIR": str(quick_detector),
        "LOSSGATE_DRAIN_DEADLINE_S": str(DRAIN_S),
    }
    with silent, worker_process(settings, tmp_path / "worker.log") as process:
        deadline = time.monotonic() + 30
        while "lossgate_in_flight_deliveries 1.0" not in _get(free_ports[0], "/metrics"):
            assert time.monotonic() < deadline, "the delivery was not taken"
            time.sleep(0.1)
        assert "ok" in _get(free_ports[0], "/live")
        process.terminate()
        started = time.monotonic()
        assert process.wait(DRAIN_S + CLOSE_S) == 0
        assert time.monotonic() - started >= DRAIN_S
    assert "drain_deadline_passed" in (tmp_path / "worker.log").read_text()
    assert committed(local_kafka.bootstrap_servers, topics.verdicts) == []
