"""The pipeline's order and its faults, with a stand-in reader and scorer."""

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.grid.combine import COLUMNS
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch
from model.policy import Policy
from model.pooling import Calibration
from worker import pipeline
from worker.exceptions import FatalError, UnusableAudioError
from worker.pipeline import Pipeline
from worker.records import AudioFacts, Coordinates, Decision, DecodedAudio, Reason, SegmentOutputs
from worker.settings import Settings
from worker.trace_export import recording
from worker.tracing import DeliveryTrace

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
        starts_s = tuple(float(index) for index in range(self.answer))
        return DecodedAudio(FACTS, noise, starts_s, 44_100, {"wait": 0.5, "fetch": 2.0, "decode": 1.0})


class Scorer:
    """Says "certainly lossy" of everything, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[int, ...]] = []

    def score(self, segments: NDArray[np.float32], starts: Sequence[int], rate_hz: int) -> SegmentOutputs:
        """High logits."""
        self.calls.append(tuple(starts))
        if self.error:
            raise self.error
        count = len(segments)
        return SegmentOutputs(
            np.full(count, 9, np.float32),
            np.zeros((count, len(FAMILIES)), np.float32),
            np.zeros((count, len(BITRATE_CLASSES)), np.float32),
            TrackSearch(np.full((len(GRIDS), COLUMNS), 3.0), (0,), (0,), np.array([3.0]), rate_hz),
        )


def test_a_good_object_is_scored_and_decided() -> None:
    """The way of the data: read, score, decide, with each stage's time for the log."""
    judgement = Pipeline(Reader(2), Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert judgement.decision is Decision.REJECT
    detect_s = judgement.stage_seconds.pop("detect")
    assert judgement.stage_seconds == {"wait": 0.5, "fetch": 2.0, "decode": 1.0}
    assert 0 <= detect_s < 60


def test_stages_become_spans_one_after_the_other() -> None:
    """The trace of a delivery shows where its time went, in the order in which it went."""
    exporter = InMemorySpanExporter()
    with recording(exporter):
        delivery = DeliveryTrace.begin([], Coordinates("deliveries", 0, 7))
        with delivery.at_work("d-1", "provider"):
            Pipeline(Reader(1), Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
        delivery.end({})
    *stages, whole = exporter.get_finished_spans()
    assert [each.name for each in stages] == ["wait", "fetch", "decode", "detect"]
    assert all(each.parent == whole.context for each in stages)
    for before, after in itertools.pairwise(stages):
        assert before.end_time is not None
        assert after.start_time is not None
        assert after.start_time - before.end_time > -1_000_000  # ns; each span asks the clock anew


def test_the_scorer_hears_where_the_segments_lie() -> None:
    """Segments are added at the frame offset they share in the track; without their places nothing would add up."""
    scorer = Scorer()
    Pipeline(Reader(3), scorer, ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert scorer.calls == [(0, 44_100, 88_200)]


def test_places_are_whole_samples_of_the_analysis_rate() -> None:
    """A place that is one sample off ends the sum: seconds must not lose one on the way, also late in a long track."""
    starts = [7 * 44_100 * 60 + index * 131_073 for index in range(50)]
    native = [2 * start for start in starts]  # 88.2 kHz
    audio = DecodedAudio(FACTS, np.zeros((0, 1, 2), np.float32), tuple(start / 88_200 for start in native), 44_100)
    assert audio.starts == tuple(starts)


def test_an_object_without_a_window_is_not_scored() -> None:
    """An empty batch would fail in TensorFlow; the policy decides without it."""
    scorer = Scorer()
    judgement = Pipeline(Reader(0), scorer, ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.TOO_SHORT)
    assert scorer.calls == []


def test_unusable_audio_becomes_a_review() -> None:
    """What the decoder refuses is a verdict, not an exception that kills a lane."""
    error = UnusableAudioError(Reason.NOT_FOUND, "There is no such object.")
    error.stage_seconds = {"wait": 0.0, "fetch": 3.0}
    judgement = Pipeline(Reader(error), Scorer(), ARTEFACT, POLICY).judge("s3://a/b.flac")
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.NOT_FOUND)
    assert judgement.stage_seconds == {"wait": 0.0, "fetch": 3.0}  # where a failure's time went is worth most


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


def test_the_setting_of_searched_segments_reaches_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who asks for every segment, or for fewer, must get them."""

    class EnoughError(Exception):
        pass

    def detector(*_: object, searched_segments: int, **__: object) -> None:
        raise EnoughError(searched_segments)

    monkeypatch.setattr(pipeline, "DecoderPool", nullcontext)
    monkeypatch.setattr(pipeline, "load_artefact", lambda _: ARTEFACT)
    monkeypatch.setattr(pipeline, "Detector", detector)
    with pytest.raises(EnoughError, match=r"^7$"), pipeline.open_pipeline(Settings(searched_segments=7)):
        pass
