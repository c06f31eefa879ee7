"""Records the tests of this folder share: one full example of each, and hypothesis strategies for all."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from worker.kafka.avro_records import EARLIEST, LATEST, MAX_ID_CHARACTERS
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

DELIVERY = Delivery(
    event_id=UUID("6f1d3b0a-58a0-4c39-9d55-3b8c6c1f7d11"),
    delivery_id="label-7/2026-11-22/0001",
    audio_uri="s3://masters/label-7/Ægir, Öl, 東京.flac",
    provider="label-7",
    delivered_at=datetime(2026, 11, 22, 12, 34, 56, 789000, tzinfo=UTC),
    label="Sieben",
    track_id="track-1",
    isrc="DEA622600001",
)
VERDICT = Verdict(
    verdict_id=UUID("0d6f8a52-3c1b-5a77-8a10-6f7d5a1e9c22"),
    delivery=DELIVERY,
    judgement=Judgement(
        decision=Decision.REJECT,
        reason=Reason.LOSSY_TRACES,
        detail="Traces of MP3 in 2 of 2 segments.",
        probability=0.9921875,
        codec="mp3",
        bitrate_class="GT_288",
        family_scores={"mp3": 0.75, "aac": 0.25},
        segments=(SegmentScore(0.0, 2.97, 0.984375), SegmentScore(10.5, 13.47, 1.0)),
        grid=GridEvidence("mp3", 57.5, 417, 10.5),
        bandwidth_hz=20_000.0,
        facts=AudioFacts(
            container="flac",
            sample_rate_hz=44_100,
            channels=2,
            bit_depth=16,
            total_samples=661_500,
            size_bytes=1_234_567,
            sha256="ab" * 32,
            version_tag='"etag-1"',
            decoder=Decoder.TENSORFLOW_IO,
        ),
    ),
    detector=DetectorIdentity("lossgate", "1.0.0", "cd" * 32, "2026-11"),
    worker_version="0.1.0",
    judged_at=datetime(2026, 11, 22, 12, 35, 1, tzinfo=UTC),
    source=Coordinates("lossgate.deliveries", 3, 42, datetime(2026, 11, 22, 12, 34, 57, tzinfo=UTC)),
    replay_id="replay-1",
)
DEAD_LETTER = DeadLetter(
    dead_letter_id=UUID("7a0b6d1c-9e3f-5b2d-8c4e-1f2a3b4c5d6e"),
    reason=DeadLetterReason.TRAILING_BYTES,
    detail="2 bytes follow the Avro record.",
    source=Coordinates("lossgate.deliveries", 0, 2**40, None),
    key=b"\x00key\xff",
    value=b"\x00\x00\x00\x00\x01garbage\xff",
    headers=(("trace", b"\x01"), ("trace", None)),
    worker_version="0.1.0",
    failed_at=datetime(2026, 11, 22, 12, 36, tzinfo=UTC),
)

_plain_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)
_ids = _plain_text.filter(str.strip) | st.just("x" * MAX_ID_CHARACTERS)
_optional_ids = st.none() | _ids
_times = st.integers(0, (LATEST - EARLIEST) // timedelta(milliseconds=1) - 1).map(
    lambda milliseconds: EARLIEST + timedelta(milliseconds=milliseconds)
)
_hashes = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
_shares = st.floats(0, 1)
_counts = st.integers(0, 2**31 - 1)

deliveries = st.builds(
    Delivery,
    event_id=st.uuids(),
    delivery_id=_ids,
    audio_uri=_ids,
    provider=_ids,
    delivered_at=_times,
    label=_optional_ids,
    track_id=_optional_ids,
    isrc=st.none() | st.from_regex(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}", fullmatch=True),
    expected_sha256=_hashes,
)
_coordinates = st.builds(
    Coordinates,
    topic=_ids,
    partition=_counts,
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.none() | _times,
)
_facts = st.builds(
    AudioFacts,
    container=st.sampled_from(["flac", "wav"]),
    sample_rate_hz=st.integers(1, 384_000),
    channels=_counts,
    bit_depth=_counts,
    total_samples=st.integers(0, 2**50),
    size_bytes=st.integers(0, 2**50),
    sha256=_hashes,
    version_tag=st.none() | _plain_text,
    decoder=st.none() | st.sampled_from(Decoder),
)
_judgements = st.builds(
    Judgement,
    decision=st.sampled_from(Decision),
    reason=st.sampled_from(Reason),
    detail=_plain_text,
    probability=st.none() | _shares,
    codec=st.none() | _plain_text,
    bitrate_class=st.none() | _plain_text,
    family_scores=st.dictionaries(_plain_text, _shares, max_size=7),
    segments=st.lists(st.builds(SegmentScore, start_s=_shares, end_s=_shares, probability=_shares), max_size=5).map(
        tuple
    ),
    bandwidth_hz=st.none() | st.floats(0, 192_000),
    facts=st.none() | _facts,
    stage_seconds=st.just({}),
)
verdicts = st.builds(
    Verdict,
    verdict_id=st.uuids(),
    # The verdict's schema does not repeat the expected hash.
    delivery=st.builds(
        Delivery,
        event_id=st.uuids(),
        delivery_id=_ids,
        audio_uri=_ids,
        provider=_ids,
        delivered_at=_times,
        label=_optional_ids,
        track_id=_optional_ids,
        isrc=_optional_ids,
        expected_sha256=st.none(),
    ),
    judgement=_judgements,
    detector=st.builds(DetectorIdentity, _ids, _ids, _ids, _ids),
    worker_version=_ids,
    judged_at=_times,
    source=_coordinates,
    replay_id=_optional_ids,
)
dead_letters = st.builds(
    DeadLetter,
    dead_letter_id=st.uuids(),
    reason=st.sampled_from(DeadLetterReason),
    detail=_plain_text,
    source=_coordinates,
    key=st.none() | st.binary(max_size=50),
    value=st.none() | st.binary(max_size=200),
    headers=st.lists(st.tuples(_plain_text, st.none() | st.binary(max_size=20)), max_size=4).map(tuple),
    worker_version=_ids,
    failed_at=_times,
)
