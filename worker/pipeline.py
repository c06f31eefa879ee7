"""One audio object → one judgement: fetch and decode, detect, decide.

Thread-safe: many lanes call `Pipeline.judge` at once, so that the detector's batches fill.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from model.artefact import Artefact, default_model_dir, default_policy_path, load_artefact
from model.errors import ArtefactError, PolicyError
from model.policy import Policy
from worker import metrics, tracing
from worker.audio.decoder_pool import DecoderPool
from worker.detect.detector import Detector
from worker.detect.device import choose_device
from worker.exceptions import FatalError, SettingsError, UnusableAudioError
from worker.judgement import judge_audio, judge_unusable
from worker.records import Decision, DecodedAudio, DetectorIdentity, Judgement, Reason, SegmentOutputs
from worker.settings import Settings

log = structlog.get_logger(__name__)


class AudioReader(Protocol):
    """Fetches and decodes; `worker.audio.decoder_pool.DecoderPool` in production."""

    def read(self, audio_uri: str, expected_sha256: str | None) -> DecodedAudio:
        """Windows of the object; raises UnusableAudioError."""


class SegmentScorer(Protocol):
    """Scores segments; `worker.detect.detector.Detector` in production."""

    def score(self, segments: NDArray[np.float32], starts: Sequence[int], rate_hz: int) -> SegmentOutputs:
        """Outputs of n segments that begin with these samples of the track; raises FatalError."""


class Pipeline:
    """Judges audio objects.

    Args:
        reader: fetches and decodes.
        scorer: runs the network.
        artefact: the network's name, hash and calibration.
        policy: the thresholds.
    """

    def __init__(self, reader: AudioReader, scorer: SegmentScorer, artefact: Artefact, policy: Policy) -> None:
        self._reader = reader
        self._scorer = scorer
        self.artefact = artefact
        self.policy = policy
        self.identity = DetectorIdentity(artefact.name, artefact.version, artefact.sha256, policy.version)

    def _score(self, audio: DecodedAudio) -> SegmentOutputs:
        return self._scorer.score(audio.segments, audio.starts, audio.analysis_rate_hz)

    def judge(self, audio_uri: str, expected_sha256: str | None = None) -> Judgement:
        """Judge one object; whatever is wrong with it ends in a review judgement.

        Raises:
            FatalError: the network is broken; no judgement of this process can be trusted.
        """
        stages = _Stages()
        try:
            audio = self._reader.read(audio_uri, expected_sha256)
            stages.over(audio.stage_seconds)
            began = time.monotonic()
            outputs = self._score(audio) if len(audio.segments) else None
            stages.over({"detect": time.monotonic() - began})
            judgement = judge_audio(audio, outputs, self.artefact.calibration, self.policy)
        except UnusableAudioError as error:
            stages.over(error.stage_seconds)
            judgement = judge_unusable(error)
        except FatalError:
            raise
        except Exception:
            # A bug of ours must neither lose the delivery nor reject it.
            log.exception("internal_error", audio_uri=audio_uri)
            judgement = Judgement(
                Decision.REVIEW,
                Reason.INTERNAL_ERROR,
                "Lossgate failed on this object by a fault of its own; the log has the details.",
            )
        return replace(judgement, stage_seconds=stages.seconds)


@contextmanager
def open_pipeline(settings: Settings, *, compile_follower: bool = True) -> Iterator[Pipeline]:
    """Build the pipeline from settings, warm, and take it down afterwards.

    Args:
        settings: of the worker.
        compile_follower: see `Detector`; False where only a few tracks are judged.

    Raises:
        SettingsError: the model, the policy or the device can't be used as set.
    """
    policy_path = settings.policy_path or default_policy_path()
    with DecoderPool(settings) as reader:
        try:
            device = choose_device(settings.device)
            artefact = load_artefact(settings.model_dir or default_model_dir())
            policy = Policy.load(policy_path)
        except (ArtefactError, PolicyError) as error:
            raise SettingsError(str(error)) from error
        scorer = Detector(
            artefact,
            settings.batch_buckets,
            settings.batch_timeout_ms,
            max_callers=settings.lanes,
            searched_segments=settings.searched_segments,
            compile_follower=compile_follower,
        )
        warm_up_s = scorer.warm_up()
        reader.warm_up()
        metrics.MODEL_INFO.labels(artefact.name, artefact.version, policy.version).set(1)
        log.info(
            "pipeline_ready",
            device=device,
            model=artefact.name,
            model_version=artefact.version,
            policy=policy.version,
            warm_up_s=round(warm_up_s, 2),
        )
        yield Pipeline(reader, scorer, artefact, policy)


class _Stages:
    """Takes down the stages of one object, each when it is over: for the log, the metrics and the trace."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def over(self, seconds: Mapping[str, float]) -> None:
        """Take down stages that followed each other, up to now."""
        began = time.monotonic() - sum(seconds.values())
        for stage, lasted in seconds.items():
            self.seconds[stage] = lasted
            metrics.STAGE_SECONDS.labels(stage).observe(lasted)
            tracing.stage(stage, began, began + lasted)
            began += lasted
