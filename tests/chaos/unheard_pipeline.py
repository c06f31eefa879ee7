"""A pipeline that hears nothing: objects are accepted after a random nap, or can't be fetched for now, by chance.

One kills the process.

Put in the place of `worker.pipeline`, it makes the real worker start in a second and judge hundreds a second,
so that a run of minutes has thousands of deliveries.
"""

import os
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager

from worker.records import Decision, DetectorIdentity, FetchFault, Judgement, Reason
from worker.settings import Settings

KILLER_URI = "/chaos/kills-whoever-judges-it.flac"

_LONGEST_NAP_S = 0.05
_UNFETCHED_SHARE = 0.05
_ACCEPT = Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "Accepted unheard.")
_UNFETCHED = Judgement(Decision.REVIEW, Reason.FETCH_FAILED, "As if away.", passing=FetchFault.CONNECTION)


class Pipeline:
    """Stands in for `worker.pipeline.Pipeline`."""

    identity = DetectorIdentity("unheard", "1", "00" * 32, "1")

    def judge(self, audio_uri: str, *_: object, **__: object) -> Judgement:
        """Accept after a nap, or say that the object can't be fetched for now."""
        if audio_uri == KILLER_URI:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(random.uniform(0, _LONGEST_NAP_S))  # noqa: S311 -- a nap
        return _UNFETCHED if random.random() < _UNFETCHED_SHARE else _ACCEPT  # noqa: S311 -- chance


@contextmanager
def open_pipeline(_settings: Settings) -> Iterator[Pipeline]:
    """Stand in for `worker.pipeline.open_pipeline`."""
    yield Pipeline()


def install() -> None:
    """Let everybody who imports `worker.pipeline` from now on get this."""
    module = types.ModuleType("worker.pipeline")
    module.Pipeline = Pipeline  # type: ignore[attr-defined]
    module.open_pipeline = open_pipeline  # type: ignore[attr-defined]
    sys.modules["worker.pipeline"] = module
