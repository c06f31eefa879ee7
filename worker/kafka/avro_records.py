"""Records to and from the plain values Avro carries, with every value checked on the way in.  Pure."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from worker.exceptions import BadEventError
from worker.records import (
    AudioFacts,
    Coordinates,
    DeadLetter,
    DeadLetterReason,
    Decision,
    Decoder,
    Delivery,
    DetectorIdentity,
    GridEvidence,
    Judgement,
    Reason,
    SegmentScore,
    Verdict,
)

MAX_ID_CHARACTERS: Final = 256
MAX_URI_CHARACTERS: Final = 4096
MAX_DETAIL_CHARACTERS: Final = 2000
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS: Final = int(EARLIEST.timestamp() * 1000)
_LATEST_MS: Final = int(LATEST.timestamp() * 1000)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# Python's UUID() takes braces, `urn:` and missing hyphens; the wire has one spelling.
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Values = Mapping[str, Any]


def check_delivery(delivery: Delivery) -> Delivery:
    """Return the delivery if all its values make sense.

    Raises:
        BadEventError: one doesn't; the message names it.
    """
    _text("delivery_id", delivery.delivery_id, MAX_ID_CHARACTERS)
    _text("audio_uri", delivery.audio_uri, MAX_URI_CHARACTERS)
    _text("provider", delivery.provider, MAX_ID_CHARACTERS)
    if delivery.delivered_at.tzinfo is None or not EARLIEST <= delivery.delivered_at < LATEST:
        raise _invalid("delivered_at", f"is not a time between {EARLIEST.year} and {LATEST.year}")
    if delivery.label is not None:
        _text("label", delivery.label, MAX_ID_CHARACTERS)
    if delivery.track_id is not None:
        _text("track_id", delivery.track_id, MAX_ID_CHARACTERS)
    if delivery.isrc is not None and not _ISRC.fullmatch(delivery.isrc):
        raise _invalid("isrc", "is not an ISRC of 12 characters without hyphens")
    if delivery.expected_sha256 is not None and not _SHA256.fullmatch(delivery.expected_sha256):
        raise _invalid("expected_sha256", "is not 64 lower-case hex digits")
    return delivery


def delivery_to_avro(delivery: Delivery) -> dict[str, Any]:
    """Mirror of `schemas/delivery`."""
    return {
        "event_id": delivery.event_id,
        "delivery_id": delivery.delivery_id,
        "audio_uri": delivery.audio_uri,
        "provider": delivery.provider,
        "delivered_at": delivery.delivered_at,
        "label": delivery.label,
        "track_id": delivery.track_id,
        "isrc": delivery.isrc,
        "expected_sha256": delivery.expected_sha256,
    }


def delivery_from_avro(values: Values) -> Delivery:
    """Build and check a delivery.

    Raises:
        BadEventError: a value makes no sense.
    """
    return check_delivery(
        Delivery(
            event_id=_uuid(values, "event_id"),
            delivery_id=values["delivery_id"],
            audio_uri=values["audio_uri"],
            provider=values["provider"],
            delivered_at=_time(values, "delivered_at"),
            # Some senders write an empty string for "none".
            label=values["label"] or None,
            track_id=values["track_id"] or None,
            isrc=values["isrc"] or None,
            expected_sha256=values["expected_sha256"] or None,
        )
    )


def verdict_to_avro(verdict: Verdict) -> dict[str, Any]:
    """Mirror of `schemas/verdict`."""
    delivery, judgement, detector = verdict.delivery, verdict.judgement, verdict.detector
    return {
        "verdict_id": verdict.verdict_id,
        "event_id": delivery.event_id,
        "delivery_id": delivery.delivery_id,
        "audio_uri": delivery.audio_uri,
        "provider": delivery.provider,
        "label": delivery.label,
        "track_id": delivery.track_id,
        "isrc": delivery.isrc,
        "decision": judgement.decision.value,
        "reason": judgement.reason.value,
        "detail": _publishable(judgement.detail),
        "probability": judgement.probability,
        "codec": judgement.codec,
        "bitrate_class": judgement.bitrate_class,
        "family_scores": judgement.family_scores,
        "segments": [
            {"start_s": each.start_s, "end_s": each.end_s, "probability": each.probability}
            for each in judgement.segments
        ],
        "grid": None if judgement.grid is None else dataclasses.asdict(judgement.grid),
        "bandwidth_hz": judgement.bandwidth_hz,
        "facts": None if judgement.facts is None else _facts_to_avro(judgement.facts),
        "model_name": detector.model_name,
        "model_version": detector.model_version,
        "model_sha256": detector.model_sha256,
        "policy_version": detector.policy_version,
        "worker_version": verdict.worker_version,
        "delivered_at": delivery.delivered_at,
        "judged_at": verdict.judged_at,
        "source": _coordinates_to_avro(verdict.source),
        "replay": verdict.replay_id is not None,
        "replay_id": verdict.replay_id,
    }


def verdict_from_avro(values: Values) -> Verdict:
    """Build a verdict.  A decision this version does not know is a review, as the schema says."""
    unknown = values["decision"] == "UNKNOWN"
    return Verdict(
        verdict_id=_uuid(values, "verdict_id"),
        delivery=Delivery(
            event_id=_uuid(values, "event_id"),
            delivery_id=values["delivery_id"],
            audio_uri=values["audio_uri"],
            provider=values["provider"],
            delivered_at=_time(values, "delivered_at"),
            label=values["label"],
            track_id=values["track_id"],
            isrc=values["isrc"],
        ),
        judgement=Judgement(
            decision=Decision.REVIEW if unknown else Decision(values["decision"]),
            reason=Reason(values["reason"]),
            detail=values["detail"],
            probability=values["probability"],
            codec=values["codec"],
            bitrate_class=values["bitrate_class"],
            family_scores=dict(values["family_scores"]),
            segments=tuple(SegmentScore(**each) for each in values["segments"]),
            grid=None if values["grid"] is None else GridEvidence(**values["grid"]),
            bandwidth_hz=values["bandwidth_hz"],
            facts=None if values["facts"] is None else _facts_from_avro(values["facts"]),
        ),
        detector=DetectorIdentity(
            model_name=values["model_name"],
            model_version=values["model_version"],
            model_sha256=values["model_sha256"],
            policy_version=values["policy_version"],
        ),
        worker_version=values["worker_version"],
        judged_at=_time(values, "judged_at"),
        source=_coordinates_from_avro(values["source"]),
        replay_id=values["replay_id"],
    )


def dead_letter_to_avro(letter: DeadLetter) -> dict[str, Any]:
    """Mirror of `schemas/dead_letter`."""
    return {
        "dead_letter_id": letter.dead_letter_id,
        "reason": letter.reason.value,
        "detail": _publishable(letter.detail),
        "source": _coordinates_to_avro(letter.source),
        "key": letter.key,
        "value": letter.value,
        "headers": [{"name": name, "value": value} for name, value in letter.headers],
        "worker_version": letter.worker_version,
        "failed_at": letter.failed_at,
    }


def dead_letter_from_avro(values: Values) -> DeadLetter:
    """Build a dead letter."""
    return DeadLetter(
        dead_letter_id=_uuid(values, "dead_letter_id"),
        reason=DeadLetterReason(values["reason"]),
        detail=values["detail"],
        source=_coordinates_from_avro(values["source"]),
        key=values["key"],
        value=values["value"],
        headers=tuple((each["name"], each["value"]) for each in values["headers"]),
        worker_version=values["worker_version"],
        failed_at=_time(values, "failed_at"),
    )


def time_of(milliseconds: int) -> datetime | None:
    """Time of a Kafka record; None where it is none or out of any sane range."""
    if not _EARLIEST_MS <= milliseconds < _LATEST_MS:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _facts_to_avro(facts: AudioFacts) -> dict[str, Any]:
    return {
        "container": facts.container,
        "sample_rate_hz": facts.sample_rate_hz,
        "channels": facts.channels,
        "bit_depth": facts.bit_depth,
        "total_samples": facts.total_samples,
        "duration_s": facts.duration_s,
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256,
        "version_tag": facts.version_tag,
        "decoder": None if facts.decoder is None else facts.decoder.value,
    }


def _facts_from_avro(values: Values) -> AudioFacts:
    decoder = values["decoder"]
    return AudioFacts(
        container=values["container"],
        sample_rate_hz=values["sample_rate_hz"],
        channels=values["channels"],
        bit_depth=values["bit_depth"],
        total_samples=values["total_samples"],
        size_bytes=values["size_bytes"],
        sha256=values["sha256"],
        version_tag=values["version_tag"],
        decoder=None if decoder in {None, "UNKNOWN"} else Decoder(decoder),
    )


def _coordinates_to_avro(source: Coordinates) -> dict[str, Any]:
    return {
        "topic": source.topic,
        "partition": source.partition,
        "offset": source.offset,
        "timestamp": source.timestamp,
    }


def _coordinates_from_avro(values: Values) -> Coordinates:
    timestamp = values["timestamp"]
    return Coordinates(
        topic=values["topic"],
        partition=values["partition"],
        offset=values["offset"],
        timestamp=None if timestamp is None else time_of(timestamp),
    )


def _publishable(text: str) -> str:
    """Fit a sentence that may quote file names and errors into Avro: valid UTF-8 of a bounded length."""
    return text[:MAX_DETAIL_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _text(name: str, value: str, longest: int) -> None:
    if not value.strip():
        raise _invalid(name, "is empty")
    if len(value) > longest:
        raise _invalid(name, f"is longer than {longest} characters")
    if _CONTROL.search(value):
        raise _invalid(name, "contains control characters")


def _uuid(values: Values, name: str) -> UUID:
    if not _UUID.fullmatch(values[name]):
        raise _invalid(name, "is not a UUID")
    return UUID(values[name])


def _time(values: Values, name: str) -> datetime:
    time = time_of(values[name])
    if time is None:
        raise _invalid(name, f"is not a time in milliseconds between {EARLIEST.year} and {LATEST.year}")
    return time


def _invalid(name: str, problem: str) -> BadEventError:
    return BadEventError(DeadLetterReason.INVALID_VALUE, f"{name} {problem}.")
