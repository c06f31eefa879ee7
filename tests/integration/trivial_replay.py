"""The real command line over a judge that accepts unheard: `python -m tests.integration.trivial_replay replay run …`.

A delivery whose id begins with `loud` is rejected.  $TRIVIAL_NAP_S is the time a judgement takes, seconds.
"""

import os
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.records import Decision, DetectorIdentity, Judgement, Reason
from worker.settings import Settings

DETECTOR = DetectorIdentity("trivial", "1", "00" * 32, "1")


class TrivialPipeline:
    """Judges by the object's name, after a nap."""

    def __init__(self, identity: DetectorIdentity = DETECTOR, nap_s: float = 0.0) -> None:
        self.identity = identity
        self.nap_s = nap_s
        self.judged: list[str] = []

    def judge(self, audio_uri: str, expected_sha256: str | None = None) -> Judgement:
        """Judge one object."""
        assert expected_sha256 is None
        time.sleep(self.nap_s)
        self.judged.append(audio_uri)
        if Path(audio_uri).name.startswith("loud"):
            return Judgement(Decision.REJECT, Reason.LOSSY_TRACES, "Rejected unheard.", probability=0.98, codec="mp3")
        return Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "Accepted unheard.", probability=0.02)


@contextmanager
def open_pipeline(_settings: Settings) -> Iterator[TrivialPipeline]:
    """Stand in for `worker.pipeline.open_pipeline`."""
    yield TrivialPipeline(nap_s=float(os.environ.get("TRIVIAL_NAP_S", "0")))


if __name__ == "__main__":
    module = types.ModuleType("worker.pipeline")
    module.open_pipeline = open_pipeline  # type: ignore[attr-defined]
    sys.modules["worker.pipeline"] = module
    from worker.cli import main

    main()
