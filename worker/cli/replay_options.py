"""The options with which `replay plan` and `replay run` choose what is judged again, and by what."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.time_options import FORMATS, HELP, in_utc
from worker.exceptions import SettingsError
from worker.records import DetectorIdentity
from worker.replay.plan import Request
from worker.replay.selection import Selection
from worker.settings import Settings

ReplayId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Name of the replay; stands in all its verdicts.", show_default=False),
]
Topic = Annotated[str | None, typer.Option(help="Topic of the deliveries.  [default: LOSSGATE_DELIVERIES_TOPIC]")]
Since = Annotated[datetime | None, typer.Option(formats=FORMATS, help=f"Events written to Kafka then or later{HELP}")]
Until = Annotated[datetime | None, typer.Option(formats=FORMATS, help="Events written before; as `--since`.")]
Offsets = Annotated[
    list[str] | None,
    typer.Option(
        "--offsets", metavar="PARTITION/FIRST-LAST", help="Offsets of a partition, both included; may be given often."
    ),
]
Providers = Annotated[list[str] | None, typer.Option("--provider", help="From this provider; may be given often.")]
Deliveries = Annotated[list[str] | None, typer.Option("--delivery", help="This delivery id; may be given often.")]
DeliveriesFrom = Annotated[
    Path | None, typer.Option(help="File with one delivery id a line; - reads stdin.", allow_dash=True)
]
Everything = Annotated[bool, typer.Option("--all", help="All events; needed where nothing else chooses.")]
ToLiveTopic = Annotated[
    bool,
    typer.Option("--to-live-topic", help="Verdicts go to the live topic, where downstream acts on them."),
]
ModelDir = Annotated[Path | None, typer.Option("--model", help="Folder of the network.  [default: LOSSGATE_MODEL_DIR]")]
PolicyPath = Annotated[Path | None, typer.Option("--policy", help="Policy file.  [default: LOSSGATE_POLICY_PATH]")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say of the events."""

    topic: str | None
    since: datetime | None
    until: datetime | None
    offsets: tuple[str, ...]
    selection: Selection
    everything: bool
    to_live_topic: bool

    @property
    def is_nothing(self) -> bool:
        """Whether no option was given."""
        return self == Asked(None, None, None, (), Selection(), everything=False, to_live_topic=False)

    def request(self, settings: Settings, detector: DetectorIdentity) -> Request:
        """Make the request for these settings and this detector."""
        return Request(
            topic=self.topic or settings.deliveries_topic,
            detector=detector,
            windows_per_track=settings.windows_per_track,
            searched_segments=settings.searched_segments,
            since=self.since,
            until=self.until,
            offsets=self.offsets,
            selection=self.selection,
            to_live_topic=self.to_live_topic,
        )


def asked_for(
    topic: str | None,
    since: datetime | None,
    until: datetime | None,
    offsets: list[str] | None,
    providers: list[str] | None,
    deliveries: list[str] | None,
    deliveries_from: Path | None,
    *,
    everything: bool,
    to_live_topic: bool,
) -> Asked:
    """Put what the options say together.

    Raises:
        SettingsError: the list of deliveries can't be read or is empty, or nothing chooses and not all are meant.
    """
    ids = frozenset(deliveries or ()) | (frozenset() if deliveries_from is None else _ids_of(deliveries_from))
    selection = Selection(frozenset(providers or ()), ids)
    asked = Asked(topic, in_utc(since), in_utc(until), tuple(offsets or ()), selection, everything, to_live_topic)
    chooses = bool(asked.since or asked.until or asked.offsets or not selection.takes_all)
    if everything and chooses:
        raise SettingsError("--all excludes every other choice of events.")
    if not everything and not chooses and not asked.is_nothing:
        raise SettingsError("Choose events with the options, or say --all.")
    return asked


def with_detector(settings: Settings, model_dir: Path | None, policy_path: Path | None) -> Settings:
    """Return the settings with what the options say of network and policy."""
    update = {"model_dir": model_dir or settings.model_dir, "policy_path": policy_path or settings.policy_path}
    return settings.model_copy(update=update)


def _ids_of(path: Path) -> frozenset[str]:
    try:
        lines: Iterable[str] = sys.stdin if str(path) == "-" else path.read_text(encoding="utf-8").splitlines()
        ids = frozenset(line.strip() for line in lines) - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read as a list of delivery ids: {error}.") from error
    if not ids:
        raise SettingsError(f"{path} holds no delivery id.")
    return ids
