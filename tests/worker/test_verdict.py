"""Verdict ids and dead-letter ids."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from worker.exceptions import BadEventError
from worker.records import (
    AudioFacts,
    Coordinates,
    DeadLetterReason,
    Decision,
    Delivery,
    DetectorIdentity,
    Judgement,
    Reason,
)
from worker.verdict import content_identity, make_dead_letter, make_verdict

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DELIVERY = Delivery(
    event_id=UUID("0d5b4f2e-7c0a-4c4e-9a55-3f3a4b1f7d20"),
    delivery_id="delivery-1",
    audio_uri="s3://masters/a.flac",
    provider="label",
    delivered_at=NOW,
)
FACTS = AudioFacts(
    container="flac",
    sample_rate_hz=44_100,
    channels=2,
    bit_depth=16,
    total_samples=44_100,
    size_bytes=1000,
    sha256=None,
    version_tag="etag-1",
)
JUDGEMENT = Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "No traces.", facts=FACTS)
DETECTOR = DetectorIdentity("net", "1", "ab" * 32, "2026.1")
SOURCE = Coordinates("deliveries", 3, 17)


def id_of(**changes: object) -> UUID:
    """Verdict id with some inputs changed."""
    inputs: dict[str, object] = {
        "delivery": DELIVERY,
        "judgement": JUDGEMENT,
        "detector": DETECTOR,
        "source": SOURCE,
        "judged_at": NOW,
    }
    return make_verdict(**(inputs | changes)).verdict_id  # type: ignore[arg-type]


def test_same_judgement_has_the_same_id_wherever_and_whenever_it_is_made() -> None:
    """Readers may deduplicate on the id: time and coordinates must not enter it."""
    assert id_of() == id_of(judged_at=datetime.now(UTC), source=Coordinates("elsewhere", 0, 0))
    assert id_of(replay_id="r1") == id_of(replay_id="r1", judged_at=datetime.now(UTC))


def test_each_input_that_can_change_the_judgement_changes_the_id() -> None:
    """A verdict of another event, content, network, policy or replay must not pass for this one."""
    changed_facts = replace(JUDGEMENT, facts=replace(FACTS, version_tag="etag-2"))
    hashed_facts = replace(JUDGEMENT, facts=replace(FACTS, sha256="cd" * 32))
    ids = {
        id_of(),
        id_of(delivery=replace(DELIVERY, event_id=UUID(int=1))),
        id_of(judgement=changed_facts),
        id_of(judgement=hashed_facts),
        id_of(detector=replace(DETECTOR, model_sha256="cd" * 32)),
        id_of(detector=replace(DETECTOR, policy_version="2026.2")),
        id_of(replay_id="r1"),
        id_of(replay_id="r2"),
    }
    assert len(ids) == 8


def test_whole_read_content_is_named_by_its_hash_alone() -> None:
    """The same bytes under two URIs are the same content."""
    facts = replace(FACTS, sha256="cd" * 32)
    assert content_identity("s3://a", facts) == content_identity("s3://b", facts)


def test_sliced_content_is_named_by_uri_size_and_version() -> None:
    """Without a hash, an overwritten object must get another identity."""
    names = {
        content_identity("s3://a", FACTS),
        content_identity("s3://b", FACTS),
        content_identity("s3://a", replace(FACTS, size_bytes=1001)),
        content_identity("s3://a", replace(FACTS, version_tag="etag-2")),
        content_identity("s3://a", None),
    }
    assert len(names) == 5


def test_dead_letter_carries_the_raw_record_and_an_id_of_its_coordinates() -> None:
    """A dead letter written twice (after a crash) must be recognisable as one, with nothing of the record lost."""
    error = BadEventError(DeadLetterReason.TRAILING_BYTES, "3 bytes are left over.")
    headers = (("h", b"1"), ("h", None))
    first = make_dead_letter(error, SOURCE, b"k", b"\x00v", headers, NOW)
    again = make_dead_letter(error, SOURCE, b"k", b"\x00v", headers, datetime.now(UTC))
    elsewhere = make_dead_letter(error, replace(SOURCE, offset=18), b"k", b"\x00v", headers, NOW)
    assert first.dead_letter_id == again.dead_letter_id
    assert first.dead_letter_id != elsewhere.dead_letter_id
    assert (first.key, first.value, first.headers) == (b"k", b"\x00v", headers)
