"""A replay serves metrics and probes where it is asked to, and nothing else listens for it."""

import urllib.request

import pytest

from worker import health
from worker.cli.replay_probes import open_probes
from worker.exceptions import SettingsError
from worker.health import HealthServer, HealthState
from worker.settings import Settings


def test_nothing_listens_unless_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Several replays on one machine, beside a worker whose port is set for all, must not fight over it."""
    monkeypatch.setattr(health, "make_server", lambda *_: pytest.fail("a port was opened"))
    with open_probes(Settings(_env_file=None, health_port=9400), "june") as state:
        state.heartbeat()
    assert capsys.readouterr().err == ""


def test_the_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With 0 nobody could know it otherwise; what counts outcomes is there from the start."""
    settings = Settings(_env_file=None, health_host="127.0.0.1", replay_health_port=0)
    with open_probes(settings, "june") as state:
        line = capsys.readouterr().err
        assert line.startswith("replay june: metrics and probes on port ")
        port = int(line.split()[-1])
        state.heartbeat()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as response:
            assert response.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            assert b'lossgate_dead_letters_total{reason="UNDECODABLE"}' in response.read()


def test_a_taken_port_is_one_sentence() -> None:
    """It names the setting of the replay, not the worker's."""
    with HealthServer("127.0.0.1", 0, HealthState()) as other:
        settings = Settings(_env_file=None, health_host="127.0.0.1", replay_health_port=other.port)
        with pytest.raises(SettingsError, match="LOSSGATE_REPLAY_HEALTH_PORT"), open_probes(settings, "june"):
            pass
