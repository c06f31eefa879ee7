"""From the network's outputs to a judgement with its evidence and a sentence for the reviewer.  Pure."""

import math

from model.bandwidth import measure_bandwidth_hz, segment_levels_dbfs
from model.constants import SEGMENT_SAMPLES, TELLING_GRID_SCORE
from model.grid.names import FAMILY_OF_GRID, RESAMPLED
from model.policy import Decision as PolicyDecision
from model.policy import Policy, TrackFacts
from model.pooling import Calibration, TrackScore, pool
from worker.exceptions import UnusableAudioError
from worker.records import Decision, DecodedAudio, GridEvidence, Judgement, Reason, SegmentOutputs, SegmentScore

_SILENCE_DBFS = -math.inf


def judge_audio(
    audio: DecodedAudio,
    outputs: SegmentOutputs | None,
    calibration: Calibration,
    policy: Policy,
) -> Judgement:
    """Pool, decide and collect the evidence.

    Args:
        audio: the decoded windows.
        outputs: what the network says of them; None where there was no window to score.
        calibration: of the network.
        policy: the thresholds.
    """
    if outputs is None:
        decision = policy.decide(None, TrackFacts(audio.facts.duration_s, _SILENCE_DBFS, 0.0))
        return Judgement(
            decision=Decision(decision.decision.upper()),
            reason=Reason(decision.reason),
            detail=explain(decision, None, audio, 0.0, policy),
            facts=audio.facts,
        )
    levels = segment_levels_dbfs(audio.segments)
    bandwidth_hz = measure_bandwidth_hz(audio.segments, audio.analysis_rate_hz)
    score = pool(
        outputs.lossy_logits,
        outputs.family_logits,
        outputs.bitrate_logits,
        calibration,
        levels_dbfs=levels,
        search=outputs.search,
        bandwidth_hz=bandwidth_hz,
    )
    decision = policy.decide(score, TrackFacts(audio.facts.duration_s, float(levels.max()), bandwidth_hz))
    return Judgement(
        decision=Decision(decision.decision.upper()),
        reason=Reason(decision.reason),
        detail=explain(decision, score, audio, bandwidth_hz, policy),
        # NaN says "nothing could be heard"; Avro and JSON readers get null for it.
        probability=None if math.isnan(score.probability) else score.probability,
        codec=decision.family,
        bitrate_class=decision.bitrate_class,
        family_scores=score.family_scores,
        segments=_segment_scores(audio, score),
        grid=_grid_evidence(audio, score),
        bandwidth_hz=bandwidth_hz,
        facts=audio.facts,
    )


def judge_unusable(error: UnusableAudioError) -> Judgement:
    """Judgement on audio that could not be fetched, decoded or used: review, with the reason."""
    return Judgement(Decision.REVIEW, error.reason, error.detail, passing=error.passing)


def explain(  # noqa: PLR0911 -- one sentence a reason
    decision: PolicyDecision, score: TrackScore | None, audio: DecodedAudio, bandwidth_hz: float, policy: Policy
) -> str:
    """Say in one plain sentence why the decision is what it is."""
    reason = Reason(decision.reason)
    if reason is Reason.TOO_SHORT:
        return (
            f"The track lasts {audio.facts.duration_s:.2f} s; "
            f"one segment of {SEGMENT_SAMPLES / audio.analysis_rate_hz:.2f} s is the least that can be judged."
        )
    if reason is Reason.SILENT:
        return f"No segment is louder than {policy.silence_dbfs:.0f} dBFS; there is nothing to judge by."
    if reason is Reason.BANDWIDTH_TOO_LOW:
        return (
            f"The signal ends at {bandwidth_hz / 1000:.1f} kHz; "
            f"below {policy.minimum_bandwidth_hz / 1000:.1f} kHz it carries too little evidence."
        )
    if score is None or math.isnan(score.probability):
        return "The network gave no usable score."
    found = f"{len(audio.starts_s)} segments, probability of a lossy history {score.probability:.3f}"
    suspect = f", most like {decision.family} {decision.bitrate_class}" if decision.family else ""
    if decision.family and score.grid is not None and score.grid.z >= TELLING_GRID_SCORE:
        history = ", resampled after decoding," if score.grid.grid in RESAMPLED else ""
        grid = FAMILY_OF_GRID[score.grid.grid] or score.grid.grid
        suspect += f"; the frame grid of {grid}{history} stands out by {score.grid.z:.0f} sigma"
    if reason is Reason.LOSSY_TRACES:
        return f"Traces of lossy coding: {found}{suspect}."
    if reason is Reason.NO_LOSSY_TRACES:
        return f"No traces of lossy coding: {found}."
    return (
        f"Between the thresholds {policy.accept_below:.3f} and {policy.reject_at:.3f}: {found}{suspect}; "
        "a person decides."
    )


def _grid_evidence(audio: DecodedAudio, score: TrackScore) -> GridEvidence | None:
    if score.grid is None or not math.isfinite(score.grid.z):
        return None
    found = score.grid
    return GridEvidence(found.grid, found.z, found.offset_samples, audio.starts_s[found.segment])


def _segment_scores(audio: DecodedAudio, score: TrackScore) -> tuple[SegmentScore, ...]:
    length_s = SEGMENT_SAMPLES / audio.analysis_rate_hz
    return tuple(
        SegmentScore(start_s, start_s + length_s, probability)
        for start_s, probability in zip(audio.starts_s, score.segment_probabilities, strict=True)
    )
