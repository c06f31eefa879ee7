"""`lossgate topics create` against the local Kafka."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from typer.testing import CliRunner

from demo.kafka.local_kafka import LocalKafka
from worker.cli.app import app
from worker.cli.exit_codes import ExitCode
from worker.kafka.topic_plan import WantedTopic
from worker.kafka.topics import ensure_topics
from worker.settings import Settings


@pytest.fixture
def names(local_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of topics that don't exist yet, set for the command."""
    prefix = f"made-{uuid4().hex[:8]}"
    monkeypatch.setenv("LOSSGATE_KAFKA_BOOTSTRAP_SERVERS", local_kafka.bootstrap_servers)
    found = []
    for kind in ("DELIVERIES", "VERDICTS", "DEAD_LETTERS", "RETRIES"):
        found.append(f"{prefix}.{kind.lower()}")
        monkeypatch.setenv(f"LOSSGATE_{kind}_TOPIC", found[-1])
    return found


def _partitions(kafka: LocalKafka, names: list[str]) -> list[int]:
    there = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(timeout=20).topics
    return [len(there[name].partitions) if name in there else 0 for name in names]


def _config(kafka: LocalKafka, topic: str, name: str) -> str:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    return str(answer.result(20)[name].value)


def test_creates_grows_and_configures_once(local_kafka: LocalKafka, names: list[str], runner: CliRunner) -> None:
    """The first run makes the topics, the second changes nothing, a third with more makes them larger."""
    first = ["topics", "create", "--partitions", "3", "--replication", "1", "--config", "retention.ms=3600000"]
    rehearsal = runner.invoke(app, [*first, "--dry-run"])
    assert rehearsal.exit_code == ExitCode.DONE
    assert f"would create {names[0]} with 3 partitions" in rehearsal.stdout
    assert _partitions(local_kafka, names) == [0, 0, 0, 0]

    assert runner.invoke(app, first).exit_code == ExitCode.DONE
    assert _partitions(local_kafka, names) == [3, 3, 1, 1]
    assert _config(local_kafka, names[2], "retention.ms") == "3600000"
    assert runner.invoke(app, first).stdout == "all topics are as asked for\n"

    more = ["topics", "create", "--partitions", "5", "--retries-partitions", "2"]
    more += ["--verdicts-config", "cleanup.policy=compact"]
    assert f"done: grow {names[1]} to 5 partitions" in runner.invoke(app, more).stdout
    assert _partitions(local_kafka, names) == [5, 5, 1, 2]
    assert _config(local_kafka, names[1], "cleanup.policy") == "compact"
    assert _config(local_kafka, names[1], "retention.ms") == "3600000"


def test_refuses_to_shrink(local_kafka: LocalKafka, names: list[str], runner: CliRunner) -> None:
    """Fewer partitions than there are is an error that changes nothing, not even what could be done."""
    local_kafka.create_topics(names[1], partitions=4)
    result = runner.invoke(app, ["topics", "create", "--partitions", "2"])
    assert result.exit_code == ExitCode.USAGE
    assert f"{names[1]} has 4 partitions and 2 are wanted" in result.stderr
    assert _partitions(local_kafka, names) == [0, 4, 0, 0]


def test_two_at_once_agree(local_kafka: LocalKafka, names: list[str]) -> None:
    """A hook that runs twice at the same moment does no harm."""
    settings = Settings(_env_file=None, kafka_bootstrap_servers=local_kafka.bootstrap_servers)
    wanted = [WantedTopic(name, 2, 1) for name in names]
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(ensure_topics, settings, wanted) for _ in range(4)]:
            future.result(60)
    assert _partitions(local_kafka, names) == [2, 2, 2, 2]


@pytest.mark.parametrize("pair", ["retention.ms", "=1"])
def test_a_setting_without_name_or_value_is_refused(runner: CliRunner, pair: str) -> None:
    """Before any broker is asked, with an example."""
    result = runner.invoke(app, ["topics", "create", "--partitions", "1", "--config", pair])
    assert result.exit_code == ExitCode.USAGE
    assert "write name=value" in result.stderr


def test_one_topic_can_not_be_two(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts in the deliveries topic would be read as deliveries, for ever."""
    monkeypatch.setenv("LOSSGATE_VERDICTS_TOPIC", "lossgate.deliveries")
    result = runner.invoke(app, ["topics", "create", "--partitions", "1"])
    assert result.exit_code == ExitCode.USAGE
    assert "name the same topic" in result.stderr


def test_a_broker_that_refuses_is_quoted(names: list[str], runner: CliRunner) -> None:
    """What the broker says reaches the one who typed."""
    result = runner.invoke(app, ["topics", "create", "--partitions", "1", "--config", "no.such.setting=1"])
    assert result.exit_code == ExitCode.FAILED
    assert "no.such.setting" in result.stderr
    assert names


def test_topics_of_replays_are_made_when_asked(
    local_kafka: LocalKafka, names: list[str], runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plans must be kept for ever, whatever retention the others get: the first one of an id counts."""
    replays = [f"{names[0]}.{kind}" for kind in ("plans", "replay-verdicts", "replay-dead-letters")]
    for variable, name in zip(("REPLAYS", "REPLAY_VERDICTS", "REPLAY_DEAD_LETTERS"), replays, strict=True):
        monkeypatch.setenv(f"LOSSGATE_{variable}_TOPIC", name)
    asked = ["topics", "create", "--partitions", "3", "--config", "retention.ms=3600000"]
    assert runner.invoke(app, asked).exit_code == ExitCode.DONE
    assert _partitions(local_kafka, replays) == [0, 0, 0]
    assert runner.invoke(app, [*asked, "--with-replays"]).exit_code == ExitCode.DONE
    assert _partitions(local_kafka, replays) == [1, 3, 1]
    assert _config(local_kafka, replays[0], "retention.ms") == "-1"
    assert _config(local_kafka, replays[1], "retention.ms") == "3600000"
