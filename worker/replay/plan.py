"""What a replay is: fixed once, kept as one JSON record, and the same for every process that works on it.  Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final

from worker.exceptions import LossgateError, SettingsError
from worker.records import DetectorIdentity
from worker.replay.ranges import OffsetRange, Ranges
from worker.replay.selection import Selection
from worker.settings import Settings

MAX_PLAN_BYTES: Final = 900_000  # of its JSON; fits the brokers' default of 1 MiB
_FORMAT: Final = 1
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OFFSETS_KEPT: Final = timedelta(days=7)  # by a broker's default, once a group has no member
LIVE: Final = "live"
"""What `replay diff` calls the verdicts of live work; no replay may have this id."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, in words; the offsets they mean are looked up once.

    Attributes:
        topic: the deliveries.
        since: written then or later.
        until: written before.
        offsets: such as `3/100-200`.
        selection: which deliveries of these.
        to_live_topic: the verdicts go where live ones go.
        detector: network and policy that judge.
        windows_per_track: as the setting.
        searched_segments: as the setting.
    """

    topic: str
    detector: DetectorIdentity
    windows_per_track: int
    searched_segments: int
    since: datetime | None = None
    until: datetime | None = None
    offsets: tuple[str, ...] = ()
    selection: Selection = field(default_factory=Selection)
    to_live_topic: bool = False


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A replay.

    Attributes:
        replay_id: its name, in every verdict of it.
        request: what was asked for.
        ranges: the offsets it covers.
        created_at: when they were looked up.
    """

    replay_id: str
    request: Request
    ranges: Ranges
    created_at: datetime

    @property
    def offsets(self) -> int:
        """Offsets covered: events, at most."""
        return sum(each.length for each in self.ranges.values())

    def group_id(self, settings: Settings) -> str:
        """Consumer group whose committed offsets are this replay's progress."""
        return f"{settings.kafka_group_id}-replay-{self.replay_id}"

    def covers(self, topic: str, partition: int, offset: int) -> bool:
        """Whether an event stands in the range."""
        found = self.ranges.get(partition)
        return topic == self.request.topic and found is not None and found.start <= offset < found.end

    def with_effort(self, settings: Settings) -> Settings:
        """Return the settings with as much of each track heard as was planned."""
        request = self.request
        update = {"windows_per_track": request.windows_per_track, "searched_segments": request.searched_segments}
        return settings.model_copy(update=update)

    def apply_to(self, settings: Settings) -> Settings:
        """Return the settings of a process that works on this replay: own group, own topics, the planned effort."""
        return self.with_effort(settings).model_copy(
            update={
                "kafka_group_id": self.group_id(settings),
                "deliveries_topic": self.request.topic,
                "verdicts_topic": settings.verdicts_topic
                if self.request.to_live_topic
                else settings.replay_verdicts_topic,
                "dead_letters_topic": settings.replay_dead_letters_topic,
                "retry_attempts": 0,  # the retries topic is live work's
            }
        )


def check_replay_id(replay_id: str) -> str:
    """Return the id if it can be one.

    Raises:
        SettingsError: it can't.
    """
    if not _ID.fullmatch(replay_id) or replay_id == LIVE:
        raise SettingsError(
            f"{replay_id!r} can't be the id of a replay: up to 64 letters, digits, dots, underscores and hyphens, "
            f"and not {LIVE!r}."
        )
    return replay_id


def refuse_shared_topics(settings: Settings, topic: str) -> None:
    """Refuse topics that would mix a replay's records with others.

    Args:
        settings: name the topics.
        topic: the deliveries to be judged again.

    Raises:
        SettingsError: two names are the same.
    """
    names = (
        topic,
        settings.verdicts_topic,
        settings.dead_letters_topic,
        settings.retries_topic,
        settings.replays_topic,
        settings.replay_verdicts_topic,
        settings.replay_dead_letters_topic,
    )
    if len(set(names)) < len(names):
        raise SettingsError(
            "Two of the topics of a replay have the same name: its deliveries, LOSSGATE_VERDICTS_TOPIC, "
            "LOSSGATE_DEAD_LETTERS_TOPIC, LOSSGATE_RETRIES_TOPIC, LOSSGATE_REPLAYS_TOPIC, "
            "LOSSGATE_REPLAY_VERDICTS_TOPIC and "
            "LOSSGATE_REPLAY_DEAD_LETTERS_TOPIC must all differ."
        )


def refuse_other_request(plan: ReplayPlan, request: Request) -> None:
    """Refuse to go on with a plan that was made for something else.

    Raises:
        SettingsError: what is asked for now differs; names in what.
    """
    names = [each.name for each in fields(Request) if getattr(plan.request, each.name) != getattr(request, each.name)]
    if names:
        raise SettingsError(
            f"Replay {plan.replay_id} was planned otherwise ({', '.join(names)} differ). "
            "Go on with it as it was planned, or choose another id."
        )


def refuse_other_detector(plan: ReplayPlan, detector: DetectorIdentity) -> None:
    """Refuse to judge with another network or policy than the plan's.

    Raises:
        SettingsError: it is another one.
    """
    if detector != plan.request.detector:
        raise SettingsError(
            f"Replay {plan.replay_id} was planned with {_words(plan.request.detector)}; here is {_words(detector)}. "
            "Set LOSSGATE_MODEL_DIR and LOSSGATE_POLICY_PATH (--model, --policy) to those of the plan."
        )


def to_json(plan: ReplayPlan) -> bytes:
    """Write the plan as it is stored.

    Raises:
        SettingsError: it is too large, for its list of deliveries.
    """
    request = plan.request
    values = {
        "format": _FORMAT,
        "replay_id": plan.replay_id,
        "created_at": plan.created_at.isoformat(),
        "topic": request.topic,
        "since": request.since and request.since.isoformat(),
        "until": request.until and request.until.isoformat(),
        "offsets": list(request.offsets),
        "providers": sorted(request.selection.providers),
        "delivery_ids": sorted(request.selection.delivery_ids),
        "to_live_topic": request.to_live_topic,
        "model_name": request.detector.model_name,
        "model_version": request.detector.model_version,
        "model_sha256": request.detector.model_sha256,
        "policy_version": request.detector.policy_version,
        "windows_per_track": request.windows_per_track,
        "searched_segments": request.searched_segments,
        "ranges": {str(partition): [each.start, each.end] for partition, each in sorted(plan.ranges.items())},
    }
    text = json.dumps(values).encode()
    if len(text) > MAX_PLAN_BYTES:
        raise SettingsError(
            f"{len(request.selection.delivery_ids)} deliveries don't fit into one plan ({len(text)} bytes, "
            f"{MAX_PLAN_BYTES} are allowed): make several replays of them."
        )
    return text


def from_json(text: bytes) -> ReplayPlan:
    """Read a stored plan.

    Raises:
        LossgateError: it is none, or of a later version.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        if values["format"] != _FORMAT:
            raise LossgateError(f"The plan is of format {values['format']}, which this version of Lossgate can't read.")
        return ReplayPlan(
            replay_id=check_replay_id(str(values["replay_id"])),
            request=Request(
                topic=str(values["topic"]),
                since=_time(values["since"]),
                until=_time(values["until"]),
                offsets=tuple(map(str, values["offsets"])),
                selection=Selection(
                    frozenset(map(str, values["providers"])), frozenset(map(str, values["delivery_ids"]))
                ),
                to_live_topic=bool(values["to_live_topic"]),
                detector=DetectorIdentity(
                    str(values["model_name"]),
                    str(values["model_version"]),
                    str(values["model_sha256"]),
                    str(values["policy_version"]),
                ),
                windows_per_track=int(values["windows_per_track"]),
                searched_segments=int(values["searched_segments"]),
            ),
            ranges={
                int(partition): OffsetRange(int(start), int(end))
                for partition, (start, end) in values["ranges"].items()
            },
            created_at=datetime.fromisoformat(values["created_at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingsError) as error:
        raise LossgateError(f"The record is no plan of a replay ({type(error).__name__}: {error}).") from error


def may_be_forgotten(plan: ReplayPlan, committed: Mapping[int, int | None], now: datetime) -> bool:
    """Whether the brokers may have forgotten how far it had come, so that it would begin anew.

    Args:
        plan: the replay.
        committed: offsets of its group, as far as there are any.
        now: the time.
    """
    return now - plan.created_at >= OFFSETS_KEPT and all(committed.get(each) is None for each in plan.ranges)


def committed_in(plan: ReplayPlan, committed: Mapping[int, int | None]) -> int:
    """Offsets of the plan that are done, by the committed offsets of its group; None where there is none yet."""
    done = 0
    for partition, each in plan.ranges.items():
        position = committed.get(partition)
        if position is not None:
            done += min(max(position, each.start), each.end) - each.start
    return done


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _words(detector: DetectorIdentity) -> str:
    model = f"{detector.model_name} {detector.model_version} ({detector.model_sha256[:12]})"
    return f"{model}, policy {detector.policy_version}"
