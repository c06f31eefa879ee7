"""The real command line over a judge that accepts unheard: `python -m tests.integration.trivial_replay replay run …`.

A delivery whose id begins with `loud` is rejected.
With $TRIVIAL_HOLD set to a number and a path, each process judges that many and waits then for as long as the path is
there: however slow the machine, it is interrupted in the middle.
"""

import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.records import Decision, DetectorIdentity, Judgement, Reason
from worker.settings import Settings

ACCEPT = Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "Accepted unheard.", probability=0.02)
DETECTOR = DetectorIdentity("trivial", "1", "00" * 32, "1")


class TrivialPipeline:
    """Judges by the object's name."""

    def __init__(self, identity: DetectorIdentity = DETECTOR, hold_after: int | None = None, hold: str = "") -> None:
        self.identity = identity
        self.judged: list[str] = []
        self._hold_after = hold_after
        self._hold = Path(hold)
        self._lock = threading.Lock()

    def judge(self, audio_uri: str, expected_sha256: str | None = None) -> Judgement:
        """Judge one object."""
        assert expected_sha256 is None
        with self._lock:
            self.judged.append(audio_uri)
            must_wait = self._hold_after is not None and len(self.judged) > self._hold_after
        while must_wait and self._hold.exists():
            time.sleep(0.02)
        if Path(audio_uri).name.startswith("loud"):
            return Judgement(Decision.REJECT, Reason.LOSSY_TRACES, "Rejected unheard.", probability=0.98, codec="mp3")
        return ACCEPT


@contextmanager
def open_pipeline(_settings: Settings) -> Iterator[TrivialPipeline]:
    """Stand in for `worker.pipeline.open_pipeline`."""
    count, _, path = os.environ.get("TRIVIAL_HOLD", "").partition(" ")
    yield TrivialPipeline(hold_after=int(count) if count else None, hold=path)


if __name__ == "__main__":
    module = types.ModuleType("worker.pipeline")
    module.open_pipeline = open_pipeline  # type: ignore[attr-defined]
    sys.modules["worker.pipeline"] = module
    from worker.cli import main

    main()
