"""`lossgate run` with a flight recorder: `python -m tests.chaos.watched_worker RECORDER heard|unheard`."""

import sys
from pathlib import Path

from tests.chaos import unheard_pipeline
from tests.chaos.black_box import BlackBox
from worker.health import HealthState


def main() -> None:
    """Run the worker as the command line does."""
    recorder, kind = sys.argv[1:]
    _record_polls(BlackBox(Path(recorder)))
    if kind == "unheard":
        unheard_pipeline.install()
    from worker.cli import main as lossgate  # noqa: PLC0415 -- after the pipeline was put in place

    sys.argv[1:] = ["run"]
    lossgate()


def _record_polls(box: BlackBox) -> None:
    heartbeat = HealthState.heartbeat

    def recorded(self: HealthState) -> None:
        box.polled()
        heartbeat(self)

    HealthState.heartbeat = recorded  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
