"""From the topics wanted and those found to what has to be done.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.exceptions import SettingsError


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as it is to be.

    Args:
        name: its name.
        partitions: how many.
        replication: copies of each partition; -1 leaves it to the broker's default.
        config: topic settings that are to have these values; others are left as they are.
    """

    name: str
    partitions: int
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it is."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done, in this order."""

    create: tuple[WantedTopic, ...] = ()
    grow: tuple[WantedTopic, ...] = ()  # add partitions
    configure: tuple[tuple[str, Mapping[str, str]], ...] = ()  # topic, settings to change

    def sentences(self) -> list[str]:
        """Say each step in a line."""
        return [
            *(f"create {each.name} with {each.partitions} partitions" for each in self.create),
            *(f"grow {each.name} to {each.partitions} partitions" for each in self.grow),
            *(
                f"set {name}={value} on {topic}"
                for topic, changes in self.configure
                for name, value in sorted(changes.items())
            ),
        ]


def plan_topics(wanted: Sequence[WantedTopic], found: Mapping[str, FoundTopic]) -> Plan:
    """Compare what is wanted with what is there.

    Raises:
        SettingsError: something is wanted that can't be done to a topic that exists; nothing is to be done then.
    """
    problems = [problem for topic in wanted if topic.name in found for problem in _impossible(topic, found[topic.name])]
    if problems:
        raise SettingsError("\n".join([*problems, "Nothing was changed."]))
    there = [topic for topic in wanted if topic.name in found]
    changes = ((topic.name, _differences(topic.config, found[topic.name].config)) for topic in there)
    return Plan(
        create=tuple(topic for topic in wanted if topic.name not in found),
        grow=tuple(topic for topic in there if topic.partitions > found[topic.name].partitions),
        configure=tuple((name, config) for name, config in changes if config),
    )


def _impossible(topic: WantedTopic, found: FoundTopic) -> list[str]:
    problems = []
    if topic.partitions < found.partitions:
        problems.append(
            f"{topic.name} has {found.partitions} partitions and {topic.partitions} are wanted: "
            "Kafka can't take partitions away. Ask for as many as there are, or use a new topic."
        )
    if topic.replication not in {-1, found.replication}:
        problems.append(
            f"{topic.name} has replication {found.replication} and {topic.replication} is wanted: "
            "that takes kafka-reassign-partitions. Ask for what there is, or leave --replication out."
        )
    return problems


def _differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if found.get(name) != value}
