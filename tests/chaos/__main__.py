"""`make chaos`: the long run, over both group protocols, with the real pipeline on real audio and without.

Two groups of workers without ears, one for each group protocol, share all but a fiftieth of the deliveries;
that, as many as the real pipeline manages meanwhile, goes to a group with it, on an object store that fails.
"""

import argparse
import random
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from demo.kafka.local_kafka import LocalKafka
from tests.chaos.report import Result
from tests.chaos.run import ChaosRun, Group
from tests.chaos.store import BadStore
from tests.integration.support import write_flac

_RUNS = Path(__file__).parents[2] / "runs"
_HEARD_SHARE = 0.02
_FILES = 6
_PAUSE_S = 5.0  # between two faults, on average
_CALM_LIMIT_S = 180.0  # some deaths in a row, each with the group's and the broker's timeouts
_KILLERS = 1  # of each group without ears: five or so deaths until it is quarantined
_HEARD_SETTINGS = {
    "LOSSGATE_LANES": "2",
    "LOSSGATE_DECODER_PROCESSES": "1",
    "LOSSGATE_DECODE_DEADLINE_S": "6",
    "LOSSGATE_SEARCHED_SEGMENTS": "1",
}


def main() -> int:
    """Run with what the command line says; 0 if the audit found nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311 -- it is printed
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--deliveries", type=int, default=3000)
    options = parser.parse_args()
    _RUNS.mkdir(exist_ok=True)
    folder = Path(mkdtemp(prefix=f"chaos-{options.seed}-", dir=_RUNS))
    print(f"seed {options.seed}; logs in {folder}", flush=True)  # noqa: T201 -- a command
    result = _run(options.seed, options.minutes * 60, options.deliveries, folder)
    (folder / "report.txt").write_text(result.text() + "\n")
    print(result.text())  # noqa: T201 -- a command
    return 1 if result.problems else 0


def _run(seed: int, seconds: float, deliveries: int, folder: Path) -> Result:
    from tests.quick_detector import save_quick_detector  # noqa: PLC0415 -- loads TensorFlow

    detector = folder / "detector"
    detector.mkdir()
    save_quick_detector(detector)
    heard = round(_HEARD_SHARE * deliveries)
    unheard = (deliveries - heard) // 2
    files = [write_flac(folder / f"{number}.flac", seed=number) for number in range(_FILES)]
    with BadStore(files, seed) as store, LocalKafka() as kafka:
        groups = [
            Group("classic", "classic", workers=3, deliveries=unheard, killers=_KILLERS),
            Group("kip848", "consumer", workers=3, deliveries=unheard, killers=_KILLERS),
            Group(
                "audio",
                "classic",
                workers=2,
                deliveries=heard,
                store=store,
                settings=_HEARD_SETTINGS | {"LOSSGATE_MODEL_DIR": str(detector)},
            ),
        ]
        run = ChaosRun(
            kafka,
            groups,
            seed=seed,
            seconds=seconds,
            pause_s=_PAUSE_S,
            calm_limit_s=_CALM_LIMIT_S,
            folder=folder,
            say=lambda line: print(time.strftime("%H:%M:%S"), line, flush=True),  # noqa: T201 -- a command
        )
        return run.run()


if __name__ == "__main__":
    sys.exit(main())
