"""The records that travel through the worker, and their enums.  No I/O, no framework types.

`Delivery`, `Verdict` and `DeadLetter` mirror the Avro schemas in `schemas/`;
the rest never leaves the process.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # it brings TensorFlow, which commands and decoder processes do without
    from model.grid.track_search import TrackSearch


class Decision(StrEnum):
    """What downstream does with the delivery."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    REVIEW = "REVIEW"


class Reason(StrEnum):
    """Why the decision is what it is."""

    NO_LOSSY_TRACES = "NO_LOSSY_TRACES"  # accept
    LOSSY_TRACES = "LOSSY_TRACES"  # reject
    # review: the network was asked and the policy abstains
    UNCERTAIN = "UNCERTAIN"
    BANDWIDTH_TOO_LOW = "BANDWIDTH_TOO_LOW"
    SILENT = "SILENT"
    TOO_SHORT = "TOO_SHORT"
    # review: the object could not be brought here
    URI_NOT_ALLOWED = "URI_NOT_ALLOWED"
    NOT_FOUND = "NOT_FOUND"
    ACCESS_DENIED = "ACCESS_DENIED"
    FETCH_FAILED = "FETCH_FAILED"
    OBJECT_TOO_LARGE = "OBJECT_TOO_LARGE"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    # review: the object is not audio we can use
    EMPTY = "EMPTY"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    CORRUPT = "CORRUPT"
    TOO_LONG = "TOO_LONG"
    DECODE_TIMEOUT = "DECODE_TIMEOUT"
    DECODER_CRASHED = "DECODER_CRASHED"
    # review: our own fault, published rather than lost
    INTERNAL_ERROR = "INTERNAL_ERROR"
    # never written: a reason that a later version wrote and this one does not know
    UNKNOWN = "UNKNOWN"


class DeadLetterReason(StrEnum):
    """Why an event got no verdict."""

    # it could not be read
    NOT_WIRE_FORMAT = "NOT_WIRE_FORMAT"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    UNDECODABLE = "UNDECODABLE"
    TRAILING_BYTES = "TRAILING_BYTES"
    INVALID_VALUE = "INVALID_VALUE"
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    # it could be read, and judging it ended the worker again and again
    QUARANTINED = "QUARANTINED"
    # never written: a reason that a later version wrote and this one does not know
    UNKNOWN = "UNKNOWN"


class FetchFault(StrEnum):
    """What kept an object from being fetched, where that may pass.  A label of the metrics; never published."""

    CONNECTION = "connection"  # refused, reset, no such host, cut in the middle of the body
    SLOW = "slow"  # silent or trickling until the fetch's time was up
    THROTTLED = "throttled"  # too many requests, slow down
    STORE = "store"  # the store calls it a fault of its own (5xx)
    CHANGED = "changed"  # replaced while it was read


class Decoder(StrEnum):
    """Which library decoded the audio."""

    TENSORFLOW_IO = "TENSORFLOW_IO"
    LIBSNDFILE = "LIBSNDFILE"
    BUILT_IN = "BUILT_IN"  # Lossgate's own, for FLACs of depths neither library reads


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery event: "this audio arrived, judge it"."""

    event_id: UUID
    delivery_id: str
    audio_uri: str
    provider: str
    delivered_at: datetime  # timezone-aware, UTC
    label: str | None = None
    track_id: str | None = None
    isrc: str | None = None
    expected_sha256: str | None = None  # 64 lower-case hex digits


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where an event stands in Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What is technically true of the object, as far as it was read."""

    container: str  # "flac" or "wav"
    sample_rate_hz: int
    channels: int
    bit_depth: int
    total_samples: int  # per channel
    size_bytes: int
    sha256: str | None  # where the whole object was read
    version_tag: str | None  # ETag, or size and mtime of a local file
    decoder: Decoder | None = None

    @property
    def duration_s(self) -> float:
        """Length of the track in seconds."""
        return self.total_samples / self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """The windows of one object, framed for the network."""

    facts: AudioFacts
    segments: NDArray[np.float32]  # (n, SEGMENT_SAMPLES, 2) in [-1, 1], at the analysis rate
    starts_s: tuple[float, ...]  # start of each segment in the track, seconds
    analysis_rate_hz: int
    stage_seconds: dict[str, float] = field(default_factory=dict, compare=False)  # wait, fetch, decode

    @property
    def starts(self) -> tuple[int, ...]:
        """First sample of each segment, from the start of the track, at the analysis rate."""
        return tuple(round(start_s * self.analysis_rate_hz) for start_s in self.starts_s)


@dataclass(frozen=True, slots=True)
class SegmentOutputs:
    """What the network says of the n segments of one track."""

    lossy_logits: NDArray[np.float32]  # (n,)
    family_logits: NDArray[np.float32]  # (n, len(FAMILIES))
    bitrate_logits: NDArray[np.float32]  # (n, len(BITRATE_CLASSES))
    search: "TrackSearch"  # of the segments that promise most


@dataclass(frozen=True, slots=True)
class SegmentScore:
    """One segment's share of the evidence."""

    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class GridEvidence:
    """The frame grid that stands out most in the segments that were searched."""

    grid: str  # one of model.grid.names.GRIDS
    score: float  # standard deviations over all other frame offsets
    offset_samples: int  # from the segment's start, at the grid's own rate
    segment_start_s: float  # of the searched segment that shows it best


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the pipeline says of one audio object, before it has coordinates in Kafka."""

    decision: Decision
    reason: Reason
    detail: str  # one plain sentence for a reviewer
    probability: float | None = None  # of lossy history, calibrated; None where nothing was scored
    codec: str | None = None  # family, one of model.constants.FAMILIES
    bitrate_class: str | None = None
    family_scores: dict[str, float] = field(default_factory=dict)
    segments: tuple[SegmentScore, ...] = ()
    grid: GridEvidence | None = None
    bandwidth_hz: float | None = None
    facts: AudioFacts | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict, compare=False)  # for the log; not published
    passing: FetchFault | None = None  # with FETCH_FAILED, where a later try may do better; not published


@dataclass(frozen=True, slots=True)
class DetectorIdentity:
    """Which network and which policy judged."""

    model_name: str
    model_version: str
    model_sha256: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is published for one delivery."""

    verdict_id: UUID
    delivery: Delivery
    judgement: Judgement
    detector: DetectorIdentity
    worker_version: str
    judged_at: datetime
    source: Coordinates
    replay_id: str | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Stands for an event that a replay leaves out: its offset is committed, and nothing is published."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is published for an event that can't be read."""

    dead_letter_id: UUID
    reason: DeadLetterReason
    detail: str
    source: Coordinates
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    worker_version: str
    failed_at: datetime
