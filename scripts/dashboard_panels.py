"""What the Grafana dashboard shows: rows of panels, each with its queries."""

from dataclasses import dataclass
from typing import Final, Literal

_OF: Final = 'job=~"$job", instance=~"$instance"'
_DECODE: Final = "CORRUPT|EMPTY|UNSUPPORTED_FORMAT|DECODE_TIMEOUT|DECODER_CRASHED"
_FETCH: Final = "NOT_FOUND|ACCESS_DENIED|FETCH_FAILED|OBJECT_TOO_LARGE|CHECKSUM_MISMATCH|URI_NOT_ALLOWED"
_REVIEW: Final = ', decision="REVIEW"'
PER_SECOND: Final = "suffix:/s"  # Grafana's own unit for counts says "c/s"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Args:
        title: what stands over it.
        about: one sentence for whoever wonders what it says.
        queries: PromQL and the name of its series (Grafana's `{{label}}`), each.
        unit: Grafana's name of the unit.
        kind: `stat` for one number, `timeseries`, or `bargauge` for numbers over the range shown.
        width: of 24.
        stacked: whether the series add up to something.
        names_zeros: whether series that are 0 all the time stand in the legend.
        warn_above: where the colour changes to orange.
        alarm_above: where it changes to red.
    """

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Literal["stat", "timeseries", "bargauge"] = "timeseries"
    width: int = 8
    stacked: bool = False
    names_zeros: bool = True
    warn_above: float | None = None
    alarm_above: float | None = None


def _rate(name: str, by: str = "", more: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}{{{_OF}{more}}}[$__rate_interval]))"


def _increase(name: str, by: str = "", more: str = "", window: str = "$__range") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(increase({name}{{{_OF}{more}}}[{window}]))"


def _gauge(name: str, by: str = "", how: str = "sum") -> str:
    return f"{how} by ({by}) ({name}{{{_OF}}})" if by else f"{how}({name}{{{_OF}}})"


def _quantile(share: float, name: str, by: str = "") -> str:
    inner = _rate(f"{name}_bucket", by=f"le, {by}" if by else "le")
    return f"histogram_quantile({share}, {inner})"


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "At a glance": (
        Panel(
            "Lag",
            "Events without a committed outcome, of all partitions held.",
            ((_gauge("lossgate_partition_lag"), "events"),),
            kind="stat",
            width=6,
            warn_above=1_000,
            alarm_above=5_000,
        ),
        Panel(
            "Verdicts per minute",
            "Committed, of all workers.",
            ((f"60 * {_rate('lossgate_decisions_total')}", "verdicts"),),
            kind="stat",
            width=6,
        ),
        Panel(
            "Review share, 1 h",
            "Verdicts that go to a person.",
            (
                (
                    _increase("lossgate_decisions_total", more=_REVIEW, window="1h")
                    + " / "
                    + _increase("lossgate_decisions_total", window="1h"),
                    "review",
                ),
            ),
            unit="percentunit",
            kind="stat",
            width=6,
            warn_above=0.25,
        ),
        Panel(
            "Dead letters, 24 h",
            "Events that got no verdict.",
            ((_increase("lossgate_dead_letters_total", window="24h"), "dead letters"),),
            kind="stat",
            width=6,
            warn_above=1,
            alarm_above=50,
        ),
        Panel(
            "Braked",
            "Workers that publish no more because too many outcomes would be dead letters: they wait for a person.",
            ((_gauge("lossgate_brake_engaged"), "braked"),),
            kind="stat",
            width=4,
            alarm_above=1,
        ),
        Panel(
            "Workers",
            "Workers that are scraped.",
            ((_gauge("lossgate_build_info", how="count"), "workers"),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Partitions held",
            "Of the deliveries and the retries topic; fewer than there are means that some have no worker.",
            ((_gauge("lossgate_assigned_partitions", by="topic"), "{{topic}}"),),
            kind="stat",
            width=10,
        ),
        Panel(
            "Oldest event in work",
            "Since its poll, without a committed outcome.",
            ((_gauge("lossgate_oldest_unsettled_seconds", how="max"), "age"),),
            unit="s",
            kind="stat",
            width=6,
            warn_above=120,
            alarm_above=900,
        ),
    ),
    "Work": (
        Panel(
            "Lag by partition",
            "Events without a committed outcome, in flight or not yet fetched, as of the last fetch. "
            "A partition that is paused is not fetched: its lag stands still.",
            ((_gauge("lossgate_partition_lag", by="topic, partition"), "{{topic}}/{{partition}}"),),
        ),
        Panel(
            "Throughput",
            "What is polled, and what becomes of it.",
            (
                (_rate("lossgate_events_polled_total"), "polled"),
                (_rate("lossgate_decisions_total"), "verdicts"),
                (_rate("lossgate_retries_scheduled_total"), "put off"),
                (_rate("lossgate_dead_letters_total"), "dead letters"),
            ),
            unit=PER_SECOND,
        ),
        Panel(
            "Time of a delivery",
            "From its poll to its committed outcome.",
            (
                (_quantile(0.5, "lossgate_delivery_seconds"), "median"),
                (_quantile(0.95, "lossgate_delivery_seconds"), "95 %"),
                (_quantile(0.99, "lossgate_delivery_seconds"), "99 %"),
            ),
            unit="s",
        ),
    ),
    "Decisions": (
        Panel(
            "Decisions",
            "Verdicts by decision.",
            ((_rate("lossgate_decisions_total", by="decision"), "{{decision}}"),),
            unit=PER_SECOND,
            stacked=True,
        ),
        Panel(
            "Review share",
            "Share of verdicts that go to a person, of the last quarter of an hour.",
            (
                (
                    _increase("lossgate_decisions_total", more=_REVIEW, window="15m")
                    + " / "
                    + _increase("lossgate_decisions_total", window="15m"),
                    "review",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Reviews by reason",
            "Why verdicts go to a person.",
            ((_rate("lossgate_decisions_total", by="reason", more=_REVIEW) + " > 0", "{{reason}}"),),
            unit=PER_SECOND,
            stacked=True,
        ),
        Panel(
            "Decisions by provider",
            "Over the range shown, the ten with the most; providers beyond the first hundred are `other`.",
            (
                (
                    f"topk(10, {_increase('lossgate_provider_decisions_total', by='provider, decision')} > 0)",
                    "{{provider}}: {{decision}}",
                ),
            ),
            kind="bargauge",
            width=12,
        ),
        Panel(
            "Decisions by codec",
            "Over the range shown; `none` where no codec was found.",
            (
                (
                    f"sort_desc({_increase('lossgate_codec_decisions_total', by='codec, decision')} > 0)",
                    "{{codec}}: {{decision}}",
                ),
            ),
            kind="bargauge",
            width=12,
        ),
    ),
    "Stages": (
        Panel(
            "Time by stage",
            "95 % take no longer. queue: for a lane; wait: for a decoder; publish: the transaction.",
            ((_quantile(0.95, "lossgate_stage_seconds", by="stage"), "{{stage}}"),),
            unit="s",
        ),
        Panel(
            "Where the time goes",
            "Seconds spent in each stage, per second, of all deliveries together.",
            ((_rate("lossgate_stage_seconds_sum", by="stage"), "{{stage}}"),),
            unit="s",
            stacked=True,
        ),
        Panel(
            "Batch fill",
            "Segments scored for deliveries over the rows the network ran; the rest is padding.",
            (
                (
                    _rate("lossgate_segments_scored_total")
                    + " / "
                    + _rate("lossgate_batch_rows_sum", more=', part="spectrogram"'),
                    "fill",
                ),
            ),
            unit="percentunit",
        ),
    ),
    "Trouble": (
        Panel(
            "Decode failures by reason",
            "Verdicts on audio that could not be decoded.",
            (
                (
                    _rate("lossgate_decisions_total", by="reason", more=f', reason=~"{_DECODE}"'),
                    "{{reason}}",
                ),
            ),
            unit=PER_SECOND,
            names_zeros=False,
            stacked=True,
        ),
        Panel(
            "Fetch failures by reason",
            "Verdicts on audio that could not be fetched, after all tries.",
            (
                (
                    _rate("lossgate_decisions_total", by="reason", more=f', reason=~"{_FETCH}"'),
                    "{{reason}}",
                ),
            ),
            unit=PER_SECOND,
            names_zeros=False,
            stacked=True,
        ),
        Panel(
            "Retries",
            "Fetches tried again at once, and deliveries put off by what kept them.",
            (
                (_rate("lossgate_fetch_retries_total"), "fetched again"),
                (_rate("lossgate_retries_scheduled_total", by="reason"), "put off: {{reason}}"),
            ),
            unit=PER_SECOND,
            names_zeros=False,
        ),
        Panel(
            "Dead letters by reason",
            "Events that can't be read, and those that killed their worker (QUARANTINED).",
            ((_rate("lossgate_dead_letters_total", by="reason"), "{{reason}}"),),
            unit=PER_SECOND,
            names_zeros=False,
            stacked=True,
        ),
        Panel(
            "Decoders and transactions",
            "Decoder children killed or dead; transactions that came to nothing; outcomes dropped after a rebalance.",
            (
                (_rate("lossgate_decoder_kills_total", by="cause"), "decoder: {{cause}}"),
                (_rate("lossgate_transactions_total", more=', result="aborted"'), "transactions aborted"),
                (_rate("lossgate_stale_outcomes_total"), "stale outcomes"),
            ),
            unit=PER_SECOND,
            names_zeros=False,
        ),
        Panel(
            "What waits",
            "Workers for a person; partitions for the schema registry; partitions of the retries topic for their time.",
            (
                (_gauge("lossgate_brake_engaged", by="instance", how="max"), "brake: {{instance}}"),
                (_gauge("lossgate_waiting_for_registry"), "partitions, for the registry"),
                (_gauge("lossgate_not_due_partitions"), "partitions, for a retry"),
            ),
            names_zeros=False,
        ),
    ),
    "Process": (
        Panel(
            "Poll gap",
            "Longest time between two polls within the last minutes; the group gives a worker's partitions away "
            "after `LOSSGATE_KAFKA_MAX_POLL_INTERVAL_MS`.",
            ((_gauge("lossgate_longest_poll_gap_seconds", by="instance", how="max"), "{{instance}}"),),
            unit="s",
        ),
        Panel(
            "Bytes in flight",
            "Reserved for deliveries between poll and committed transaction, and fetched ahead of the poll loop.",
            (
                (_gauge("lossgate_in_flight_bytes", by="instance"), "in flight: {{instance}}"),
                (_gauge("lossgate_prefetched_bytes", by="instance"), "prefetched: {{instance}}"),
            ),
            unit="bytes",
        ),
        Panel(
            "Deliveries in flight",
            "Between poll and committed transaction; and workers whose intake is paused because a budget is spent.",
            (
                (_gauge("lossgate_in_flight_deliveries", by="instance"), "{{instance}}"),
                (_gauge("lossgate_paused"), "workers paused"),
            ),
        ),
        Panel(
            "Memory",
            "Resident: the worker itself and its decoder children.",
            (
                (_gauge("process_resident_memory_bytes", by="instance"), "worker: {{instance}}"),
                (_gauge("lossgate_decoder_memory_bytes", by="instance"), "decoders: {{instance}}"),
            ),
            unit="bytes",
            width=6,
        ),
        Panel(
            "Partitions",
            "Held by each worker. One without partitions of the deliveries topic does nothing but retries.",
            ((_gauge("lossgate_assigned_partitions", by="instance, topic"), "{{instance}} {{topic}}"),),
            width=10,
        ),
        Panel(
            "CPU",
            "Cores used by the worker, its decoder children not counted.",
            ((_rate("process_cpu_seconds_total", by="instance"), "{{instance}}"),),
            width=4,
        ),
        Panel(
            "Traces",
            "Spans by what became of them; failed or dropped ones mean that the collector is away or slow.",
            ((_rate("lossgate_spans_total", by="result"), "{{result}}"),),
            unit=PER_SECOND,
            width=4,
        ),
    ),
}
