"""Constants of the service, with their units.  Those of the signal live in `model.constants`."""

from uuid import UUID

KIB = 1024  # bytes
MIB = 1024 * KIB  # bytes
GIB = 1024 * MIB  # bytes
DAY_S = 86_400.0  # seconds

VERDICT_NAMESPACE = UUID("5f0c2c1e-4c8e-5e0a-9a55-0c6d1b6f3a10")
"""UUIDv5 namespace of verdict ids.  Changing it makes verdicts that are known look new."""

DEAD_LETTER_NAMESPACE = UUID("a2c9a1de-6f39-5b0b-8a8e-3f3a4b1f7d20")
"""UUIDv5 namespace of dead-letter ids (topic, partition, offset)."""

REPLAY_HEADER = "lossgate-replay"
"""Kafka header of the verdicts and dead letters of a replay, and of events sent again as part of one: its id."""

REDRIVE_HEADER = "lossgate-redrive-of"
"""Kafka header of an event that was sent again by `lossgate dead-letters redrive`: the id of its dead letter."""

REDRIVE_COUNT_HEADER = "lossgate-redrives"
"""Kafka header beside it: how many times the event was sent again, this time included."""

RETRY_ATTEMPT_HEADER = "lossgate-retry-attempt"
RETRY_NOT_BEFORE_HEADER = "lossgate-retry-not-before-ms"
RETRY_SOURCE_HEADER = "lossgate-retry-source"
RETRY_TIMESTAMP_HEADER = "lossgate-retry-source-timestamp-ms"
"""Kafka headers the worker adds to an event it puts on the retries topic, in this order, after the event's own."""

HEADER_PROBE_BYTES = 64 * KIB
"""Bytes read from the start of an object before any decoder sees it."""

MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 8

POLL_TIMEOUT_S = 0.2  # seconds one Consumer.poll waits; bounds how stale pause/resume can be
LIVENESS_LIMIT_S = 60.0  # seconds without a poll after which /live fails

MAX_WINDOWS_PER_TRACK = 1_000
"""Upper bound of the setting `windows_per_track`, and so of one call to the detector."""

MAX_EVENT_BYTES = 256 * KIB  # value, key and headers of an event; a delivery at all its limits takes a tenth of it
MAX_DEAD_LETTER_RAW_BYTES = 768 * KIB  # what a dead letter repeats of its event; fits the brokers' default of 1 MiB
