"""Every Prometheus metric of the worker, each with its meaning.  Nothing else declares one."""

from prometheus_client import Counter, Gauge, Histogram

from model.constants import FAMILIES
from worker import __version__
from worker.records import DeadLetterReason, Decision, FetchFault, Reason

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

EVENTS_POLLED = Counter("lossgate_events_polled", "Events taken from the deliveries and the retries topic.")
DECISIONS = Counter("lossgate_decisions", "Verdicts committed, by decision and reason.", ["decision", "reason"])
PROVIDER_DECISIONS = Counter(
    "lossgate_provider_decisions",
    "Verdicts committed, by provider and decision; providers beyond the first hundred a worker meets are `other`.",
    ["provider", "decision"],
)
CODEC_DECISIONS = Counter(
    "lossgate_codec_decisions",
    "Verdicts committed, by codec family (`none` where none was found) and decision.",
    ["codec", "decision"],
)
DEAD_LETTERS = Counter("lossgate_dead_letters", "Dead letters committed, by reason.", ["reason"])
RETRIES_SCHEDULED = Counter(
    "lossgate_retries_scheduled",
    "Deliveries put on the retries topic, by reason (connection, slow, throttled, store, changed).",
    ["reason"],
)
STALE_OUTCOMES = Counter(
    "lossgate_stale_outcomes",
    "Outcomes dropped because their partition had been assigned away meanwhile.",
)
TRANSACTIONS = Counter("lossgate_transactions", "Kafka transactions, by result.", ["result"])
DECODER_KILLS = Counter("lossgate_decoder_kills", "Decoder children killed or found dead, by cause.", ["cause"])
FETCH_RETRIES = Counter("lossgate_fetch_retries", "Fetches tried again after a passing failure.")

IN_FLIGHT_DELIVERIES = Gauge("lossgate_in_flight_deliveries", "Deliveries between poll and committed transaction.")
IN_FLIGHT_BYTES = Gauge("lossgate_in_flight_bytes", "Bytes reserved for deliveries in flight.")
PAUSED = Gauge("lossgate_paused", "1 while the intake is paused because a budget is spent, else 0.")
WAITING_FOR_REGISTRY = Gauge(
    "lossgate_waiting_for_registry",
    "Partitions held back because the schema registry is away or does not know a schema yet.",
)
REGISTRY_FAILURES = Counter(
    "lossgate_registry_failures",
    "Look-ups of event schemas that have to be tried again, failed ones and those of schemas not known yet.",
)
BRAKE_ENGAGED = Gauge(
    "lossgate_brake_engaged",
    "1 while nothing is published because too many of the last outcomes would be dead letters, else 0.",
)
ASSIGNED_PARTITIONS = Gauge(
    "lossgate_assigned_partitions",
    "Partitions held by this worker, of the deliveries and of the retries topic.",
    ["topic"],
)
NOT_DUE_PARTITIONS = Gauge(
    "lossgate_not_due_partitions",
    "Partitions of the retries topic that are paused until their next delivery is due.",
)
OLDEST_UNSETTLED_SECONDS = Gauge(
    "lossgate_oldest_unsettled_seconds",
    "Time since the poll of the oldest event that has no committed outcome yet, of the partitions held; 0 if none.",
)
LAG = Gauge(
    "lossgate_partition_lag",
    "Events of a held partition without a committed outcome, in flight or not yet fetched, as of the last fetch; "
    "a topic that is written in transactions counts their markers too.",
    ["topic", "partition"],
)
PREFETCHED_BYTES = Gauge("lossgate_prefetched_bytes", "Bytes of events fetched ahead of the poll loop.")
LONGEST_POLL_GAP_SECONDS = Gauge(
    "lossgate_longest_poll_gap_seconds", "Longest time between two polls within the last one to two minutes."
)
LAST_POLL_TIMESTAMP = Gauge("lossgate_last_poll_timestamp_seconds", "Unix time of the last poll.")
DECODER_MEMORY_BYTES = Gauge("lossgate_decoder_memory_bytes", "Resident memory of all decoder children.")
SPANS = Counter(
    "lossgate_spans",
    "Spans of traces, by result: sent, failed (the collector did not take them), dropped (the queue was full).",
    ["result"],
)
REPLAY_OFFSETS_PLANNED = Gauge("lossgate_replay_offsets_planned", "Offsets in a replay's plan.", ["replay"])
REPLAY_OFFSETS_DONE = Gauge(
    "lossgate_replay_offsets_done", "Of them, those committed by all processes of the replay together.", ["replay"]
)
BUILD_INFO = Gauge("lossgate_build_info", "1, labelled with the worker's version.", ["version"])
MODEL_INFO = Gauge(
    "lossgate_model_info", "1, labelled with the network and policy in use.", ["name", "version", "policy"]
)

STAGE_SECONDS = Histogram(
    "lossgate_stage_seconds",
    "Time a delivery spends in one stage, seconds: `queue` (from its poll to a free lane), "
    "`wait` (for a free decoder), `fetch`, `decode`, `detect`, `publish` (one transaction). "
    "What is read in slices from a store is decoded while it is fetched and counts as `fetch`; "
    "files on disk count as `decode`.",
    ["stage"],
    buckets=_SECONDS,
)
DELIVERY_SECONDS = Histogram(
    "lossgate_delivery_seconds",
    "Time from poll to committed verdict, seconds.",
    buckets=_SECONDS,
)
SEGMENTS_SCORED = Counter("lossgate_segments_scored", "Segments scored for deliveries (without padding).")
BATCH_ROWS = Histogram(
    "lossgate_batch_rows",
    "Rows of one batch of one part of the network (spectrogram, search), padding included; "
    "segments scored over the spectrogram's sum of rows is the fill.",
    ["part"],
    buckets=(1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
)


def show_zeros() -> None:
    """Show every outcome there can be from the start, with a count of 0.

    A series that first appears with its first event looks to Prometheus as if nothing had happened:
    the rise from nothing to 1 is no increase, and an alert on the first fault would miss it.
    """
    for reason in Reason:
        decision = _DECISION_OF.get(reason, Decision.REVIEW)
        DECISIONS.labels(decision.value, reason.value)
    for letter_reason in DeadLetterReason:
        DEAD_LETTERS.labels(letter_reason.value)
    for codec in ("none", *FAMILIES):
        for each in Decision:
            CODEC_DECISIONS.labels(codec, each.value)
    for fault in FetchFault:
        RETRIES_SCHEDULED.labels(fault.value)
    for cause in ("deadline", "died"):
        DECODER_KILLS.labels(cause)
    for result in ("committed", "aborted"):
        TRANSACTIONS.labels(result)
    BUILD_INFO.labels(__version__).set(1)


_DECISION_OF = {Reason.NO_LOSSY_TRACES: Decision.ACCEPT, Reason.LOSSY_TRACES: Decision.REJECT}
