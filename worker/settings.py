"""Every setting of the worker, read from the environment first, then from `.env`.

The README's settings table is made from this file; a test keeps the two equal.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.constants import SEARCHED_SEGMENTS
from worker.constants import DAY_S, GIB, MAX_WINDOWS_PER_TRACK, MIB


class Settings(BaseSettings):
    """Settings of `lossgate`; each is the environment variable `LOSSGATE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="LOSSGATE_", env_file=".env", extra="ignore")

    # Kafka
    kafka_bootstrap_servers: str = Field("localhost:9092", description="Brokers, host:port, comma-separated.")
    kafka_group_id: str = Field("lossgate", description="Consumer group of the worker.")
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        "classic",
        description="`classic` (cooperative-sticky) or `consumer` (KIP-848).",
    )
    kafka_properties: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="More librdkafka properties as a JSON object (SASL, TLS, …); never logged.",
    )
    kafka_session_timeout_ms: int = Field(
        15_000, ge=6_000, description="Silence after which the group gives a worker's partitions away, ms."
    )
    kafka_max_poll_interval_ms: int = Field(
        300_000, ge=10_000, description="Longest time between two polls before the group drops the worker, ms."
    )
    kafka_transaction_timeout_ms: int = Field(
        15_000, ge=1_000, description="Age at which the broker aborts the transaction of a dead worker, ms."
    )
    deliveries_topic: str = Field("lossgate.deliveries", description="Topic the delivery events are read from.")
    verdicts_topic: str = Field("lossgate.verdicts", description="Topic the verdicts are written to.")
    dead_letters_topic: str = Field("lossgate.dead-letters", description="Topic for events that can't be read.")
    retries_topic: str = Field(
        "lossgate.deliveries.retries",
        description="Topic where deliveries wait that could not be fetched for now.",
    )
    retry_attempts: int = Field(
        3,
        ge=0,
        le=100,
        description="How often a delivery goes through the retries topic before its review verdict; "
        "0: never, and the topic is neither read nor written.",
    )
    retry_delay_s: float = Field(
        300.0, gt=0, le=7 * 86_400, description="Time a delivery waits in the retries topic, seconds."
    )
    replays_topic: str = Field(
        "lossgate.replays", description="Topic that keeps the plans of replays; its retention must have no end."
    )
    replay_verdicts_topic: str = Field(
        "lossgate.verdicts.replay", description="Topic the verdicts of replays are written to."
    )
    replay_dead_letters_topic: str = Field(
        "lossgate.dead-letters.replay", description="Topic for events that a replay can't read."
    )
    schema_registry_url: str | None = Field(
        None, description="Confluent-compatible Schema Registry; unset: the schemas in the package."
    )
    schema_registry_properties: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="More properties of the registry client as a JSON object (credentials, TLS); never logged.",
    )
    schema_registry_patience_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Time a schema id that the registry does not know may be on its way, seconds; "
        "until then its partition waits, then its events are dead letters.",
    )

    # Budgets
    max_in_flight_deliveries: int = Field(
        64, ge=1, description="Deliveries between poll and committed transaction, at most."
    )
    max_in_flight_bytes: int = Field(
        GIB, ge=64 * MIB, description="Bytes of events and decoded windows in flight, at most."
    )
    prefetch_bytes: int = Field(8 * MIB, ge=MIB, description="Bytes librdkafka may fetch ahead of the poll loop.")
    lanes: int = Field(4, ge=1, le=256, description="Deliveries judged at the same time.")
    quarantine_after_deaths: int = Field(
        3,
        ge=1,
        le=100,
        description="Deaths of the worker's process while it judges one delivery and nothing else, after which that "
        "delivery becomes a dead letter.",
    )
    brake_dead_letters: int = Field(
        50,
        ge=0,
        le=100_000,
        description="Dead letters among the last LOSSGATE_BRAKE_WINDOW outcomes; a worker that would write more stops "
        "publishing and waits for a person. As many as the window: never.",
    )
    brake_window: int = Field(100, ge=1, le=100_000, description="Outcomes over which dead letters are counted.")
    drain_deadline_s: float = Field(
        30.0, gt=0, le=DAY_S, description="Time SIGTERM gives the deliveries in flight, seconds."
    )

    # Fetch and decode
    allowed_uri_prefixes: list[str] = Field(
        default_factory=list,
        description="JSON list of the URI prefixes audio may be read from, such as `s3://masters/` or `/data/in/`.",
    )
    decoder_processes: int = Field(2, ge=1, le=64, description="Child processes that fetch and decode.")
    decode_deadline_s: float = Field(
        60.0,
        gt=0,
        le=DAY_S,
        description="Time one object may take to fetch and decode before its child is killed, seconds.",
    )
    decoder_memory_bytes: int = Field(
        GIB,
        ge=64 * MIB,
        description="Memory a decoder child may take for one object, beyond its idle size and the windows, bytes.",
    )
    fetch_attempts: int = Field(4, ge=1, le=20, description="Tries at a fetch that fails in a way that may pass.")
    max_object_bytes: int = Field(2 * GIB, ge=1, description="Largest object that is opened, bytes.")
    max_duration_s: float = Field(6 * 3600.0, gt=0, le=7 * DAY_S, description="Longest track that is judged, seconds.")
    # 12 slices out of S3 cost some 1,500 small requests (tensorflow-io reads 8 KiB a request), and of a local file
    # more time than reading it whole: slices pay only where the object is much larger than its windows.
    whole_object_bytes: int = Field(
        64 * MIB, ge=0, description="Objects up to this size are read whole (and hashed) instead of in slices, bytes."
    )
    windows_per_track: int = Field(
        12, ge=1, le=MAX_WINDOWS_PER_TRACK, description="Segments looked at in one track, at most."
    )
    searched_segments: int = Field(
        SEARCHED_SEGMENTS,
        ge=0,
        le=MAX_WINDOWS_PER_TRACK,
        description="Segments of one track that are searched for frame grids, at most; each costs a CPU-second or two. "
        "Twice as many are followed where nothing is clear. 0: every segment, which finds lossy parts of a track.",
    )

    # Detect and decide
    model_dir: Path | None = Field(None, description="Folder of the network; unset: the one in the package.")
    policy_path: Path | None = Field(None, description="Policy file; unset: the one in the package.")
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="Where the network runs.")
    batch_buckets: list[Annotated[int, Field(ge=1, le=MAX_WINDOWS_PER_TRACK)]] = Field(
        default_factory=lambda: [4, 16, 48],
        min_length=1,
        description="JSON list of the batch sizes the network is compiled for, in segments, ascending.",
    )
    batch_timeout_ms: float = Field(10.0, ge=0, le=60_000, description="Longest wait for a batch to fill, ms.")

    # Observe
    health_host: str = Field("0.0.0.0", description="Address of /metrics and of the probes (/startup, /live, /ready).")  # noqa: S104 -- pods are probed from outside
    health_port: int = Field(
        9400,
        ge=0,
        le=65535,
        description="Port of /metrics and of the probes (/startup, /live, /ready); 0 picks a free one.",
    )
    replay_health_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of /metrics and of the probes of `lossgate replay run`; unset: it serves none; "
        "0 picks a free one, told on stderr.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or `auto`: console on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        """A verdict or a retry in the deliveries topic would be read as a delivery, for ever."""
        names = [self.deliveries_topic, self.verdicts_topic, self.dead_letters_topic, self.retries_topic]
        if len(set(names)) < len(names):
            raise ValueError(
                "Two of LOSSGATE_DELIVERIES_TOPIC, LOSSGATE_VERDICTS_TOPIC, LOSSGATE_DEAD_LETTERS_TOPIC and "
                "LOSSGATE_RETRIES_TOPIC name the same topic"
            )
        return self
