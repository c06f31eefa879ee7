"""The hook that makes the topics, and the replay."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.helm.support import environment, one, render
from worker.cli.app import app
from worker.cli.exit_codes import ExitCode
from worker.kafka import topics
from worker.kafka.topic_plan import WantedTopic


def test_topics_hook_asks_for_the_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line of the hook is one that the command takes, and it asks for what the values say."""
    asked: list[WantedTopic] = []

    def ensure(_settings: object, wanted: list[WantedTopic], **_options: object) -> SimpleNamespace:
        asked.extend(wanted)
        return SimpleNamespace(sentences=list)

    monkeypatch.setattr(topics, "ensure_topics", ensure)
    objects = render("jobs")
    (container,) = one(objects, "Job", "-topics")["spec"]["template"]["spec"]["containers"]
    result = CliRunner().invoke(app, container["args"], env=environment(objects, container))
    assert result.exit_code == ExitCode.DONE, result.output
    assert asked == [
        WantedTopic("lossgate.deliveries", 12, 3, {"min.insync.replicas": "2", "retention.ms": "604800000"}),
        WantedTopic("lossgate.verdicts", 12, 3, {"min.insync.replicas": "2", "cleanup.policy": "delete"}),
        WantedTopic("lossgate.dead-letters", 1, 3, {"min.insync.replicas": "2"}),
        WantedTopic("lossgate.deliveries.retries", 1, 3, {"min.insync.replicas": "2"}),
        WantedTopic(
            "lossgate.replays", 1, 3, {"min.insync.replicas": "2", "retention.ms": "-1", "cleanup.policy": "delete"}
        ),
        WantedTopic("lossgate.verdicts.replay", 12, 3, {"min.insync.replicas": "2", "cleanup.policy": "delete"}),
        WantedTopic("lossgate.dead-letters.replay", 1, 3, {"min.insync.replicas": "2"}),
    ]


def test_topics_hook_needs_nothing_of_the_release() -> None:
    """It runs before the ConfigMap and the ServiceAccount exist, and gives up at once on what can't be done."""
    job = one(render("jobs"), "Job", "-topics")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod
    assert "envFrom" not in pod["containers"][0]
    assert job["spec"]["podFailurePolicy"]["rules"][0] == {
        "action": "FailJob",
        "onExitCodes": {"containerName": "topics", "operator": "In", "values": [int(ExitCode.USAGE)]},
    }


def test_replay_is_indexed_and_resumable() -> None:
    """Each process is tried again on its own, and goes on where the replay's offsets are."""
    job = one(render("jobs"), "Job", "-replay-june")["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 2)
    assert (job["backoffLimitPerIndex"], job["podReplacementPolicy"]) == (6, "Failed")
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # what backoffLimitPerIndex and podFailurePolicy need
    assert pod["priorityClassName"] == "low"
    assert pod["containers"][0]["args"][:3] == ["replay", "run", "june"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "3Gi"}


def test_replay_pods_are_no_workers() -> None:
    """Neither the Deployment, nor its budget, nor the scrape may take a replay's pods for workers."""
    objects = render("jobs")
    labels = one(objects, "Job", "-replay-june")["spec"]["template"]["metadata"]["labels"]
    kinds = {"Deployment", "PodDisruptionBudget", "PodMonitor"}
    taken_by = {
        (each["kind"], each["metadata"]["name"])
        for each in objects
        if each["kind"] in kinds and each["spec"]["selector"]["matchLabels"].items() <= labels.items()
    }
    # Scraped under a name of its own: the alerts ask for the workers' job, see `test_alerts`.
    assert taken_by == {("PodMonitor", "gate-replay")}


def test_a_replay_is_probed_where_it_answers() -> None:
    """As the worker, but for readiness: a surplus process never gets a partition, and nothing waits for it."""
    objects = render("jobs")
    (replay,) = one(objects, "Job", "-replay-june")["spec"]["template"]["spec"]["containers"]
    (worker,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert replay["startupProbe"] == worker["startupProbe"]
    assert replay["livenessProbe"] == worker["livenessProbe"]
    assert "readinessProbe" not in replay
    assert replay["ports"] == worker["ports"]
    (port,) = replay["ports"]
    assert environment(objects, replay)["LOSSGATE_REPLAY_HEALTH_PORT"] == str(port["containerPort"])
    policy = one(objects, "NetworkPolicy")["spec"]
    labels = one(objects, "Job", "-replay-june")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert [each["port"] for each in policy["ingress"][0]["ports"]] == [port["containerPort"]]


def test_names_stay_within_their_limits() -> None:
    """The longest release and replay names still make names of 63 characters at most."""
    values = {"fullnameOverride": "x" * 60, "replay": {"name": "y" * 16}}
    assert all(len(each["metadata"]["name"]) <= 63 for each in render("jobs", values))
