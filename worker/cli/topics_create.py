"""`lossgate topics create`: the topics, as they are to be."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.exceptions import SettingsError

if TYPE_CHECKING:
    from worker.kafka.topic_plan import WantedTopic

_CONFIG_HELP = "Setting of the {} as name=value, such as retention.ms=604800000; may be given often."

topics = typer.Typer(no_args_is_help=True, help="Set the topics up.")


@topics.callback()
def _topics() -> None:
    """Set the topics up."""


@topics.command()
def create(
    partitions: Annotated[
        int,
        typer.Option("--partitions", min=1, help="Partitions of the deliveries and the verdicts topic."),
    ],
    dead_letter_partitions: Annotated[
        int, typer.Option("--dead-letter-partitions", min=1, help="Partitions of the dead-letters topic.")
    ] = 1,
    retries_partitions: Annotated[
        int,
        typer.Option(
            "--retries-partitions",
            min=1,
            help="Partitions of the retries topic. The group shares out the partitions of both topics as if they were "
            "one: with many of them some workers get no deliveries.",
        ),
    ] = 1,
    replication: Annotated[
        int, typer.Option("--replication", min=-1, help="Copies of each partition; -1: the broker's default.")
    ] = -1,
    config: Annotated[list[str] | None, typer.Option("--config", help=_CONFIG_HELP.format("topics"))] = None,
    deliveries_config: Annotated[
        list[str] | None, typer.Option("--deliveries-config", help=_CONFIG_HELP.format("deliveries topic"))
    ] = None,
    verdicts_config: Annotated[
        list[str] | None, typer.Option("--verdicts-config", help=_CONFIG_HELP.format("verdicts topic"))
    ] = None,
    dead_letters_config: Annotated[
        list[str] | None, typer.Option("--dead-letters-config", help=_CONFIG_HELP.format("dead-letters topic"))
    ] = None,
    retries_config: Annotated[
        list[str] | None, typer.Option("--retries-config", help=_CONFIG_HELP.format("retries topic"))
    ] = None,
    with_replays: Annotated[
        bool, typer.Option("--with-replays", help="Also the three topics of replays: plans, verdicts, dead letters.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
) -> None:
    """Create the topics, or bring those that exist to what is asked for.

    Run again it changes nothing.
    Partitions are added where there are fewer, and a key may then lie in another partition than before;
    they are never taken away, and the replication of a topic that exists is not changed: both end in an error.

    Exit codes:

    * 0: the topics are as asked for
    * 2: wrong arguments or settings, or a topic has more partitions or another replication; nothing was changed
    * 4: Kafka could not be asked, or refused
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    from worker.kafka.topics import ensure_topics  # noqa: PLC0415 -- loads Kafka's client

    shared = _config(config)
    wanted = [
        _wanted(settings.deliveries_topic, partitions, replication, shared | _config(deliveries_config)),
        _wanted(settings.verdicts_topic, partitions, replication, shared | _config(verdicts_config)),
        _wanted(
            settings.dead_letters_topic, dead_letter_partitions, replication, shared | _config(dead_letters_config)
        ),
    ]
    if settings.retry_attempts:
        wanted.append(
            _wanted(settings.retries_topic, retries_partitions, replication, shared | _config(retries_config))
        )
    if with_replays:
        plans = {"retention.ms": "-1", "cleanup.policy": "delete"}  # the first plan of an id counts, for ever
        wanted += [
            _wanted(settings.replays_topic, 1, replication, shared | plans),
            _wanted(settings.replay_verdicts_topic, partitions, replication, shared | _config(verdicts_config)),
            _wanted(settings.replay_dead_letters_topic, 1, replication, shared | _config(dead_letters_config)),
        ]
    steps = ensure_topics(settings, wanted, dry_run=dry_run).sentences()
    for step in steps:
        print(f"would {step}" if dry_run else f"done: {step}")
    if not steps:
        print("all topics are as asked for")


def _wanted(name: str, partitions: int, replication: int, config: dict[str, str]) -> "WantedTopic":
    from worker.kafka.topic_plan import WantedTopic  # noqa: PLC0415 -- its folder loads Kafka's client

    return WantedTopic(name, partitions, replication, config)


def _config(pairs: list[str] | None) -> dict[str, str]:
    config = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise SettingsError(f"{pair!r} is no topic setting; write name=value, such as cleanup.policy=delete.")
        config[name] = value
    return config
