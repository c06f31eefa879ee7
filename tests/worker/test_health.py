"""The probes and the metrics over real HTTP."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from worker import metrics
from worker.exceptions import SettingsError
from worker.health import HealthServer, HealthState


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def read(self) -> float:
        """Return its time, seconds."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def state(clock: Clock) -> HealthState:
    """Return a state with a limit of 60 s."""
    return HealthState(limit_s=60.0, clock=clock.read)


@pytest.fixture
def server(state: HealthState) -> Iterator[HealthServer]:
    """Serve the state on a free port."""
    with HealthServer("127.0.0.1", 0, state) as server:
        yield server


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_live_follows_the_heartbeat(server: HealthServer, state: HealthState, clock: Clock) -> None:
    """A loop that stops coming round is reported after the limit, and again alive after its next heartbeat."""
    assert ask(server, "/live")[0] == 200
    clock.now_s += 59.9
    assert ask(server, "/live")[0] == 200
    clock.now_s += 0.1
    status, body = ask(server, "/live")
    assert status == 503
    assert json.loads(body) == {"status": "failing", "reason": "last heartbeat 60.0 s ago, limit 60 s"}
    state.heartbeat()
    assert ask(server, "/live")[0] == 200


def test_startup_waits_for_the_first_heartbeat(server: HealthServer, state: HealthState) -> None:
    """A warm-up longer than the liveness limit is no reason to kill: that probe begins after this one."""
    assert ask(server, "/startup") == (503, '{"status": "failing", "reason": "the poll loop has not begun"}\n')
    state.heartbeat()
    assert ask(server, "/startup")[0] == 200


def test_ready_says_why(server: HealthServer, state: HealthState) -> None:
    """Not ready from the start; then what was last said, with its reason."""
    assert ask(server, "/ready") == (503, '{"status": "failing", "reason": "starting"}\n')
    state.set_ready(ready=True, why="4 partitions assigned")
    assert ask(server, "/ready") == (200, '{"status": "ok", "reason": "4 partitions assigned"}\n')
    state.set_ready(ready=False, why="draining")
    assert ask(server, "/ready")[0] == 503


def test_metrics_are_in_prometheus_format(server: HealthServer) -> None:
    """What the catalogue counts can be scraped."""
    before = metrics.EVENTS_POLLED._value.get()
    metrics.EVENTS_POLLED.inc(3)
    status, body = ask(server, "/metrics")
    assert status == 200
    assert f"lossgate_events_polled_total {before + 3}" in body
    assert "# HELP lossgate_stage_seconds" in body


def test_outcomes_show_before_they_happen(server: HealthServer) -> None:
    """The first fault of a worker is a rise from 0 that an alert can see."""
    metrics.show_zeros()
    body = ask(server, "/metrics")[1]
    assert 'lossgate_decisions_total{decision="REVIEW",reason="INTERNAL_ERROR"} ' in body
    assert 'lossgate_decisions_total{decision="REJECT",reason="LOSSY_TRACES"} ' in body
    assert 'lossgate_dead_letters_total{reason="INTERNAL_ERROR"} ' in body
    assert 'lossgate_transactions_total{result="aborted"} ' in body


def test_unknown_paths_and_methods(server: HealthServer) -> None:
    """Nothing but the known paths is served, and nothing can be posted."""
    assert ask(server, "/")[0] == 404
    assert ask(server, "/metrics/../etc/passwd")[0] == 404
    assert ask(server, "/live", method="POST")[0] == 405


def test_slow_client_does_not_block_others(server: HealthServer) -> None:
    """A client that connects and says nothing leaves the probes answered."""
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/live")[0] == 200


def test_probes_are_not_printed(server: HealthServer, capfd: pytest.CaptureFixture[str]) -> None:
    """A probe every few seconds leaves no line in the log."""
    ask(server, "/live")
    assert capfd.readouterr().err == ""


def test_port_taken_is_a_settings_error(server: HealthServer, state: HealthState) -> None:
    """A taken port is reported with the setting to change."""
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{server.port}.*LOSSGATE_HEALTH_PORT"):
        HealthServer("127.0.0.1", server.port, state)


def test_shutdown_frees_port_and_thread(state: HealthState) -> None:
    """After the server is closed its port is free and its thread gone."""
    before = threading.active_count()
    with HealthServer("127.0.0.1", 0, state) as server:
        port = server.port
        assert ask(server, "/live")[0] == 200
    assert threading.active_count() == before
    with HealthServer("127.0.0.1", port, state):
        pass
