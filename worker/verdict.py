"""From a judgement and its coordinates to the records that are published.  Pure."""

from datetime import datetime
from uuid import UUID, uuid5

from worker import __version__
from worker.constants import DEAD_LETTER_NAMESPACE, VERDICT_NAMESPACE
from worker.exceptions import BadEventError
from worker.records import AudioFacts, Coordinates, DeadLetter, Delivery, DetectorIdentity, Judgement, Verdict


def content_identity(audio_uri: str, facts: AudioFacts | None) -> str:
    """Name the content that was judged, as exactly as it is known.

    The hash where the whole object was read; otherwise URI, size and version tag stand for it;
    the URI alone where the object could not be opened.
    """
    if facts is None:
        return f"uri:{audio_uri}"
    if facts.sha256 is not None:
        return f"sha256:{facts.sha256}"
    return f"version:{audio_uri}|{facts.size_bytes}|{facts.version_tag or ''}"


def verdict_id(event_id: UUID, content: str, detector: DetectorIdentity, replay_id: str | None = None) -> UUID:
    """UUIDv5 of event, content, network, policy and replay: the same judgement made twice has the same id.

    A replay that goes on after an interruption gives the ids it would have given without one.
    Its verdicts never pass for live ones: whoever asked for the backfill of a delivery that the same network judged
    before (its object was missing, say) wants the new verdict seen, not dropped as known.
    """
    parts = [str(event_id), content, detector.model_sha256, detector.policy_version]
    if replay_id is not None:
        parts.append(f"replay:{replay_id}")
    return uuid5(VERDICT_NAMESPACE, "\n".join(parts))


def make_verdict(
    delivery: Delivery,
    judgement: Judgement,
    detector: DetectorIdentity,
    source: Coordinates,
    judged_at: datetime,
    replay_id: str | None = None,
) -> Verdict:
    """Complete a judgement to the verdict that is published."""
    content = content_identity(delivery.audio_uri, judgement.facts)
    return Verdict(
        verdict_id=verdict_id(delivery.event_id, content, detector, replay_id),
        delivery=delivery,
        judgement=judgement,
        detector=detector,
        worker_version=__version__,
        judged_at=judged_at,
        source=source,
        replay_id=replay_id,
    )


def dead_letter_id(topic: str, partition: int, offset: int) -> UUID:
    """UUIDv5 of an event's coordinates."""
    return uuid5(DEAD_LETTER_NAMESPACE, f"{topic}\n{partition}\n{offset}")


def make_dead_letter(
    error: BadEventError,
    source: Coordinates,
    key: bytes | None,
    value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...],
    failed_at: datetime,
) -> DeadLetter:
    """Complete an unreadable event to the dead letter that is published."""
    return DeadLetter(
        dead_letter_id=dead_letter_id(source.topic, source.partition, source.offset),
        reason=error.reason,
        detail=error.detail,
        source=source,
        key=key,
        value=value,
        headers=headers,
        worker_version=__version__,
        failed_at=failed_at,
    )
