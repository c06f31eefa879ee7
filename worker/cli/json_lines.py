"""The JSON objects that `check --json`, `verdicts --json` and `dead-letters … --json` print, one a line.  Pure.

The first two carry the same judgement under the same names, so one reader serves both.
"""

import base64
import json
import math
from datetime import UTC, datetime
from typing import Any

from worker.cli.dead_letter_choice import StoredLetter
from worker.kafka.redrive import redrives_of
from worker.records import AudioFacts, Coordinates, Delivery, DetectorIdentity, GridEvidence, Judgement, Verdict


def check_object(path: str, judgement: Judgement, detector: DetectorIdentity) -> dict[str, Any]:
    """Return the object of one checked file."""
    # A file name that is not UTF-8 holds lone surrogates, which strict JSON parsers refuse.
    valid_path = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return {"path": valid_path, **_judgement(judgement), **_detector(detector)}


def verdict_object(verdict: Verdict) -> dict[str, Any]:
    """Return the object of one verdict."""
    delivery = verdict.delivery
    return {
        "delivery_id": delivery.delivery_id,
        **_judgement(verdict.judgement),
        **_detector(verdict.detector),
        "verdict_id": str(verdict.verdict_id),
        "event_id": str(delivery.event_id),
        "audio_uri": delivery.audio_uri,
        "provider": delivery.provider,
        "label": delivery.label,
        "track_id": delivery.track_id,
        "isrc": delivery.isrc,
        "delivered_at": _time(delivery.delivered_at),
        "judged_at": _time(verdict.judged_at),
        "worker_version": verdict.worker_version,
        "source": _coordinates(verdict.source),
        "replay_id": verdict.replay_id,
    }


def dead_letter_object(stored: StoredLetter) -> dict[str, Any]:
    """Return the object of one dead letter, without the bytes of its event."""
    letter = stored.letter
    return {
        "dead_letter_id": str(letter.dead_letter_id),
        "reason": letter.reason.value,
        "detail": letter.detail,
        "failed_at": _time(letter.failed_at),
        "source": _coordinates(letter.source),
        "redrives": redrives_of(letter.headers),
        "value_bytes": None if letter.value is None else len(letter.value),
        "worker_version": letter.worker_version,
        "partition": stored.partition,
        "offset": stored.offset,
    }


def whole_dead_letter_object(stored: StoredLetter, event: Delivery | None, problem: str | None) -> dict[str, Any]:
    """Return the object of one dead letter with the bytes of its event, and the event where it can be read."""
    letter = stored.letter
    return {
        **dead_letter_object(stored),
        "key_base64": _base64(letter.key),
        "value_base64": _base64(letter.value),
        "headers": [{"name": name, "value_base64": _base64(value)} for name, value in letter.headers],
        "event": None if event is None else delivery_object(event),
        "event_problem": problem,
    }


def delivery_object(delivery: Delivery) -> dict[str, Any]:
    """Return the object of one delivery event."""
    return {
        "event_id": str(delivery.event_id),
        "delivery_id": delivery.delivery_id,
        "audio_uri": delivery.audio_uri,
        "provider": delivery.provider,
        "delivered_at": _time(delivery.delivered_at),
        "label": delivery.label,
        "track_id": delivery.track_id,
        "isrc": delivery.isrc,
        "expected_sha256": delivery.expected_sha256,
    }


def to_line(values: dict[str, Any]) -> str:
    """Write an object as one line: strict JSON in ASCII, so that no terminal, locale or parser trips over it."""
    return json.dumps(values, allow_nan=False)


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "decision": judgement.decision.value.lower(),
        "reason": judgement.reason.value,
        "detail": judgement.detail,
        "probability": _number(judgement.probability),
        "codec": judgement.codec,
        "bitrate_class": judgement.bitrate_class,
        "family_scores": {family: _number(score) for family, score in judgement.family_scores.items()},
        "segments": [
            {"start_s": _number(s.start_s), "end_s": _number(s.end_s), "probability": _number(s.probability)}
            for s in judgement.segments
        ],
        "grid": None if judgement.grid is None else _grid(judgement.grid),
        "bandwidth_hz": _number(judgement.bandwidth_hz),
        "facts": None if judgement.facts is None else _facts(judgement.facts),
    }


def _grid(grid: GridEvidence) -> dict[str, Any]:
    return {
        "grid": grid.grid,
        "score": _number(grid.score),
        "offset_samples": grid.offset_samples,
        "segment_start_s": _number(grid.segment_start_s),
    }


def _facts(facts: AudioFacts) -> dict[str, Any]:
    return {
        "container": facts.container,
        "sample_rate_hz": facts.sample_rate_hz,
        "channels": facts.channels,
        "bit_depth": facts.bit_depth,
        "total_samples": facts.total_samples,
        "duration_s": _number(facts.duration_s),
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256,
        "version_tag": facts.version_tag,
        "decoder": None if facts.decoder is None else facts.decoder.value,
    }


def _detector(detector: DetectorIdentity) -> dict[str, Any]:
    return {
        "model": {
            "name": detector.model_name,
            "version": detector.model_version,
            "sha256": detector.model_sha256,
        },
        "policy": detector.policy_version,
    }


def _coordinates(source: Coordinates) -> dict[str, Any]:
    return {
        "topic": source.topic,
        "partition": source.partition,
        "offset": source.offset,
        "timestamp": None if source.timestamp is None else _time(source.timestamp),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
