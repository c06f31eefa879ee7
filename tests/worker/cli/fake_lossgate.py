"""Runs the real command line over a pipeline that needs neither TensorFlow nor audio.

The fake judges by the file's name: `accept…`, `reject…`, `slow…`, and reports anything missing as NOT_FOUND.
Used by the tests in-process (`install`) and as a program (`python fake_lossgate.py check …`).
"""

import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.records import AudioFacts, Decision, DetectorIdentity, GridEvidence, Judgement, Reason, SegmentScore
from worker.settings import Settings

IDENTITY = DetectorIdentity("fake", "1", "0" * 64, "fake-policy")
FACTS = AudioFacts("flac", 44_100, 2, 16, 441_000, 12, None, "12-0")


class FakePipeline:
    """Judges by name."""

    identity = IDENTITY

    def __init__(self, settings: Settings) -> None:
        self._allowed = settings.allowed_uri_prefixes

    def judge(self, audio_uri: str, expected_sha256: str | None = None) -> Judgement:
        """Judge one file."""
        assert expected_sha256 is None
        name = Path(audio_uri).name
        if not any(audio_uri.startswith(prefix) for prefix in self._allowed):
            return Judgement(Decision.REVIEW, Reason.URI_NOT_ALLOWED, "Not allowed.")
        if not Path(audio_uri).exists():
            return Judgement(Decision.REVIEW, Reason.NOT_FOUND, "There is no such file.")
        if name.startswith("slow"):
            time.sleep(0.3)
        if name.startswith("reject"):
            return Judgement(
                Decision.REJECT,
                Reason.LOSSY_TRACES,
                "Traces of lossy coding.",
                probability=0.9996,
                codec="mp3",
                bitrate_class="GT_288",
                family_scores={"mp3": 0.9, "aac": 0.1},
                segments=(SegmentScore(0.0, 2.97, 0.9996),),
                grid=GridEvidence("mp3", 57.5, 417, 0.0),
                bandwidth_hz=20_000.0,
                facts=FACTS,
            )
        return Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "No traces.", probability=0.01, facts=FACTS)


@contextmanager
def open_pipeline(settings: Settings, *, compile_follower: bool = True) -> Iterator[FakePipeline]:
    """Stand in for `worker.pipeline.open_pipeline`."""
    del compile_follower
    yield FakePipeline(settings)


def fake_module() -> types.ModuleType:
    """Return a module to put in the place of `worker.pipeline`."""
    module = types.ModuleType("worker.pipeline")
    module.open_pipeline = open_pipeline  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    sys.modules["worker.pipeline"] = fake_module()
    from worker.cli import main

    main()
