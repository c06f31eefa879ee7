"""From outputs to judgement: decisions, evidence, sentences."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.bitrate import FEATURES, BitrateScale
from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.grid.combine import COLUMNS
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch
from model.policy import Policy
from model.pooling import Calibration
from worker.exceptions import UnusableAudioError
from worker.judgement import judge_audio, judge_unusable
from worker.records import AudioFacts, Decision, DecodedAudio, Judgement, Reason, SegmentOutputs

POLICY = Policy(
    version="test",
    reject_at=0.9,
    accept_below=0.2,
    name_family_at=0.5,
    minimum_duration_s=3.0,
    silence_dbfs=-60.0,
    minimum_bandwidth_hz=7_000.0,
)
TABLE = np.full((len(GRIDS), COLUMNS), 3.0)
TABLE[GRIDS.index("mp3")] = (57.5, 417.0, 9.0, 1.0)
# The third segment was searched first, but the second shows the grid best.
SEARCH = TrackSearch(TABLE, (2, 1), (40 * 44_100, 20 * 44_100), np.array([21.0, 30.0]), 44_100)
RNG = np.random.default_rng(7)
NOISE = RNG.uniform(-0.5, 0.5, (3, SEGMENT_SAMPLES, 2)).astype(np.float32)
HUM = (0.5 * np.sin(2 * np.pi * 100 / 44_100 * np.arange(SEGMENT_SAMPLES)))[None, :, None] * np.ones((3, 1, 2))


def judge(
    probability: float,
    segments: NDArray[np.float32] = NOISE,
    duration_s: float = 60.0,
    search: TrackSearch = SEARCH,
) -> Judgement:
    """Judge segments for which the network says the given probability, MP3 at a low bitrate."""
    count = len(segments)
    facts = AudioFacts("flac", 44_100, 2, 16, round(duration_s * 44_100), 1000, None, None)
    audio = DecodedAudio(facts, segments, tuple(20.0 * index for index in range(count)), 44_100)
    if count == 0:
        return judge_audio(audio, None, Calibration(), POLICY)
    family = np.zeros((count, len(FAMILIES)), np.float32)
    family[:, FAMILIES.index("mp3")] = 5
    bitrate = np.zeros((count, len(BITRATE_CLASSES)), np.float32)
    logit = math.nan if math.isnan(probability) else math.log(probability / (1 - probability))
    outputs = SegmentOutputs(np.full(count, logit, np.float32), family, bitrate, search)
    bandwidth = len(BITRATE_CLASSES) + 2 * len(FAMILIES)
    weights = tuple(float(index == bandwidth) for index in range(FEATURES))
    scale = BitrateScale(weights, 5.0)  # 2 ** (5 + 22 050 Hz / 10 kHz) = 148 kbit/s
    return judge_audio(audio, outputs, Calibration(bitrate=scale), POLICY)


@pytest.mark.parametrize(
    ("probability", "decision", "reason", "codec"),
    [
        (0.97, Decision.REJECT, Reason.LOSSY_TRACES, "mp3"),
        (0.6, Decision.REVIEW, Reason.UNCERTAIN, "mp3"),
        (0.3, Decision.REVIEW, Reason.UNCERTAIN, None),
        (0.05, Decision.ACCEPT, Reason.NO_LOSSY_TRACES, None),
    ],
)
def test_thresholds_decide(probability: float, decision: Decision, reason: Reason, codec: str | None) -> None:
    """The policy's thresholds, and nothing else, turn a probability into a decision; codec only with evidence."""
    judgement = judge(probability)
    assert (judgement.decision, judgement.reason, judgement.codec) == (decision, reason, codec)
    assert judgement.probability == pytest.approx(probability, abs=1e-6)


def test_evidence_is_complete() -> None:
    """A reviewer sees when in the track each score was taken, and on how much spectrum."""
    judgement = judge(0.97)
    assert [segment.start_s for segment in judgement.segments] == [0.0, 20.0, 40.0]
    assert judgement.segments[0].end_s == pytest.approx(SEGMENT_SAMPLES / 44_100)
    assert judgement.bandwidth_hz == pytest.approx(22_050, rel=0.02)
    assert sum(judgement.family_scores.values()) == pytest.approx(1.0)
    assert judgement.bitrate_class == "LE_160"
    assert "most like mp3" in judgement.detail
    assert judgement.grid is not None
    # The offset counts from the start of the segment that is named, not of the track.
    offset = (417 - 20 * 44_100) % 576
    assert (judgement.grid.grid, judgement.grid.offset_samples, judgement.grid.segment_start_s) == ("mp3", offset, 20.0)
    assert "the frame grid of mp3 stands out by 58 sigma" in judgement.detail


def test_a_decode_that_was_resampled_is_called_so() -> None:
    """A reviewer who looks for the frames finds them only at the other rate."""
    table = np.full_like(TABLE, 3.0)
    table[GRIDS.index("ac3_resampled")] = (41.0, 417.0, 9.0, 1.0)
    judgement = judge(0.97, search=replace(SEARCH, table=table))
    assert judgement.grid is not None
    assert judgement.grid.grid == "ac3_resampled"
    assert "the frame grid of ac3, resampled after decoding, stands out by 41 sigma" in judgement.detail


def test_silence_is_for_review_and_has_no_probability() -> None:
    """A silent track carries no evidence: neither accepted nor rejected, and no NaN leaks into the verdict."""
    judgement = judge(0.97, np.zeros_like(NOISE))
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.SILENT)
    assert judgement.probability is None
    assert "-60 dBFS" in judgement.detail


def test_a_dull_track_is_for_review() -> None:
    """Below the policy's bandwidth a score judges the music, not its history."""
    weak = replace(SEARCH, table=np.full_like(TABLE, 3.0))
    judgement = judge(0.97, HUM.astype(np.float32), search=weak)
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.BANDWIDTH_TOO_LOW)
    assert judgement.codec is None
    assert "below 7.0 kHz" in judgement.detail


def test_a_dull_track_with_a_clear_grid_is_rejected() -> None:
    """A grid of 58 sigma is no music; the sentence names it, not the missing treble."""
    judgement = judge(0.97, HUM.astype(np.float32))
    assert (judgement.decision, judgement.reason) == (Decision.REJECT, Reason.LOSSY_TRACES)
    assert "the frame grid of mp3 stands out by 58 sigma" in judgement.detail


def test_a_track_without_windows_is_too_short() -> None:
    """A one-sample file gets a verdict of its own and keeps its facts."""
    judgement = judge(0.5, NOISE[:0], duration_s=1 / 44_100)
    assert (judgement.decision, judgement.reason) == (Decision.REVIEW, Reason.TOO_SHORT)
    assert judgement.facts is not None
    assert "0.00 s" in judgement.detail


def test_a_network_that_answers_nan_accepts_nothing() -> None:
    """NaN compares false with every threshold; it must end in review."""
    judgement = judge(math.nan)
    assert judgement.decision is Decision.REVIEW
    assert judgement.probability is None


def test_unusable_audio_is_for_review_with_its_reason() -> None:
    """Undecodable audio is never a rejection and never silence."""
    judgement = judge_unusable(UnusableAudioError(Reason.CORRUPT, "The file ends early."))
    assert (judgement.decision, judgement.reason, judgement.detail) == (
        Decision.REVIEW,
        Reason.CORRUPT,
        "The file ends early.",
    )
