"""The pipeline's order and its faults, with a stand-in reader and scorer."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.grid.names import GRIDS
from model.policy import Policy
from model.pooling import Calibration
from worker.exceptions import FatalError, UnusableAudioError
from worker.pipeline import Pipeline
from worker.records import AudioFacts, Decision, DecodedAudio, Reason, SegmentOutputs

POLICY = Policy("p1", 0.9, 0.2, 0.5, 3.0, -60.0, 7_000.0)
FACTS = AudioFacts("flac", 44_100, 2, 16, 60 * 44_100, 1000, None, "tag")
ARTEFACT: Any = SimpleNamespace(name="net", version="1", sha256="ab" * 32, calibration=Calibration())


class Reader:
    """Answers each URI with audio or raises what it was given."""

    def __init__(self, answer: Exception | int) -> None:
        self.answer = answer

    def read(self, audio_uri: str, expected_sha256: str | None) -> DecodedAudio:
        """Noise in as many segments as wanted."""
        del audio_uri, expected_sha256
        if isinstance(self.answer, Exception):
            raise self.answer
        noise = np.random.default_rng(1).uniform(-0.5, 0.5, (self.answer, SEGMENT_SAMPLES, 2)).astype(np.float32)
        return DecodedAudio(FACTS, noise, tuple(float(index) for index in range(self.answer)), 44_100)


class Scorer:
    """Says "certainly lossy" of everything, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    def score(self, segments: NDArray[np.float32]) -> SegmentOutputs:
        """High logits."""
        self.calls += 1
        if self.error:
            raise self.error
        count = len(segments)
        return SegmentOutputs(
            np.full(count, 9, np.float32),
            np.zeros((count, len(FAMILIES)), np.float32),
            np.zeros((count, len(BITRATE_CLASSES)), np.float32),
            np.full((len(GRIDS), 2), 3.0, np.float32),
            0,
        )


def test_a_good_object_is_scored_and_decided() -> None:
    """The way of the data: read, score, decide, with each stage's time for the log."""
    judgement = Pipeline(Reader(2), Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert judgement.decision is Decision.REJECT
    assert set(judgement.stage_seconds) == {"decode", "detect"}


def test_an_object_without_a_window_is_not_scored() -> None:
    """An empty batch would fail in TensorFlow; the policy decides without it."""
    scorer = Scorer()
    judgement = Pipeline(Reader(0), scorer, ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.TOO_SHORT)
    assert scorer.calls == 0


def test_unusable_audio_becomes_a_review() -> None:
    """What the decoder refuses is a verdict, not an exception that kills a lane."""
    reader = Reader(UnusableAudioError(Reason.NOT_FOUND, "There is no such object."))
    judgement = Pipeline(reader, Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.NOT_FOUND)


def test_a_bug_of_ours_becomes_a_review_without_leaking_its_text() -> None:
    """A bug must not lose or reject the delivery, and internals (paths, secrets) don't belong in a verdict."""
    reader = Reader(RuntimeError("secret-path"))
    judgement = Pipeline(reader, Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.INTERNAL_ERROR)
    assert "secret-path" not in judgement.detail


def test_a_broken_network_stops_the_worker() -> None:
    """When the network fails, going on would send the whole catalogue to review."""
    with pytest.raises(FatalError):
        Pipeline(Reader(1), Scorer(FatalError("out of memory")), ARTEFACT, POLICY).judge("s3://a/b.flac")
