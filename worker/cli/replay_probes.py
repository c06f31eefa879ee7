"""What a replay serves over HTTP, if it is asked to: metrics and probes as the worker's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from worker.health import HealthServer, HealthState
from worker.metrics import show_zeros
from worker.settings import Settings


@contextmanager
def open_probes(settings: Settings, replay_id: str) -> Iterator[HealthState]:
    """Serve metrics and probes where LOSSGATE_REPLAY_HEALTH_PORT is set; yields what the probes report.

    Unset by default: several replays on one machine, or one beside a worker, must not fight over a port.

    Raises:
        SettingsError: the port can't be listened on.
    """
    health = HealthState()
    port = settings.replay_health_port
    if port is None:
        yield health
        return
    show_zeros()
    with HealthServer(settings.health_host, port, health, "LOSSGATE_REPLAY_HEALTH_PORT") as server:
        print(f"replay {replay_id}: metrics and probes on port {server.port}", file=sys.stderr, flush=True)
        yield health
