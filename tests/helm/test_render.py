"""The chart rendered by helm: accepted by the schemas of its kinds, and what each part promises."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from tests.helm.support import MATRIX, REPOSITORY, environment, one, pods, render, run_helm
from worker.health import HealthState, _application
from worker.settings import Settings

SCHEMAS = REPOSITORY / "tests" / "helm" / "schemas"
DEFINITIONS = "kubernetes-definitions.json"


def _schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", MATRIX)
def test_lint(case: str) -> None:
    """`helm lint --strict` has nothing to say."""
    done = run_helm("lint", case)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("case", MATRIX)
def test_objects_fit_their_schemas(case: str) -> None:
    """No object has a field that its kind does not know, or a value of the wrong type."""
    registry: Registry[Any] = Registry().with_resource(
        DEFINITIONS, Resource.from_contents(_schema(DEFINITIONS), default_specification=_draft_7())
    )
    for each in render(case):
        group, _, version = each["apiVersion"].rpartition("/")
        parts = [each["kind"].lower(), group.split(".")[0], version]
        schema = _schema("-".join(part for part in parts if part) + ".json")
        errors = list(Draft7Validator(schema, registry=registry).iter_errors(each))
        assert [f"{error.json_path}: {error.message}" for error in errors] == []


def _draft_7() -> Any:
    from referencing.jsonschema import DRAFT7  # noqa: PLC0415 -- the name says what it is only here

    return DRAFT7


@pytest.mark.parametrize("case", MATRIX)
def test_every_pod_is_hardened(case: str) -> None:
    """Not root, nothing writable but /tmp, no capabilities, seccomp, no token of the API server."""
    objects = render(case)
    for name, pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001  # as in docker/Dockerfile
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [each for each in pod["volumes"] if "hostPath" in each]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            writable = [each["name"] for each in container["volumeMounts"] if not each.get("readOnly")]
            assert writable == ["scratch"]
            assert environment(objects, container)["TMPDIR"] == "/tmp"  # noqa: S108 -- the emptyDir
    for each in objects:
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False


@pytest.mark.parametrize("case", MATRIX)
def test_environment_is_what_the_worker_reads(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings load from what the pods get, and each variable of ours is one the worker knows."""
    objects = render(case)
    known = {f"LOSSGATE_{name.upper()}" for name in Settings.model_fields}
    for _, pod in pods(objects):
        for container in pod["containers"]:
            variables = {
                name: '{"from": "a secret"}' if value.startswith("secret:") else value
                for name, value in environment(objects, container).items()
                if name.startswith("LOSSGATE_")
            }
            assert variables.keys() <= known
            with monkeypatch.context() as patch:
                for name, value in variables.items():
                    patch.setenv(name, value)
                settings = Settings(_env_file=None)
            assert settings.allowed_uri_prefixes == ["s3://masters/"]
            assert settings.health_port == 9400


@pytest.mark.parametrize("case", ["minimal", "jobs"])
@pytest.mark.parametrize("drain_s", [5, 45.5, 600])
def test_grace_is_longer_than_the_drain(case: str, drain_s: float) -> None:
    """The kill comes after the drain, the last transaction (15 s) and the way out, whatever the drain is set to."""
    objects = render(case, {"drainSeconds": drain_s})
    judging = {name: pod for name, pod in pods(objects) if not name.endswith("-topics")}
    assert judging
    for pod in judging.values():
        (container,) = pod["containers"]
        assert float(environment(objects, container)["LOSSGATE_DRAIN_DEADLINE_S"]) == drain_s
        assert pod["terminationGracePeriodSeconds"] >= drain_s + 20


def test_probes_ask_what_the_worker_answers() -> None:
    """Each path is one the health server knows, and the start holds the others back for longer than a warm-up."""
    (container,) = one(render(), "Deployment")["spec"]["template"]["spec"]["containers"]
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    for kind, path in zip(kinds, ("/startup", "/live", "/ready"), strict=True):
        assert container[kind]["httpGet"] == {"path": path, "port": "health"}
        answers: list[str] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
        _application(HealthState())(environ, lambda status, _headers, answers=answers: answers.append(status))
        assert not answers[0].startswith("404")
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] == 300
    assert container["ports"] == [{"name": "health", "containerPort": 9400}]


def test_workers_roll_one_at_a_time() -> None:
    """No extra worker while rolling: with one for each partition it would get none and never be ready."""
    spec = one(render(), "Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    budget = one(render(), "PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"] == spec["selector"]


def test_cpu_by_default_and_gpu_by_value() -> None:
    """Without GPUs nothing asks for one; with them all that belongs to it comes, beside the user's own."""
    objects = render()
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert not {"runtimeClassName", "tolerations", "nodeSelector"} & pod.keys()
    assert environment(objects, pod["containers"][0])["LOSSGATE_DEVICE"] == "cpu"

    objects = render("gpu")
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["runtimeClassName"] == "nvidia"
    assert [each["key"] for each in pod["tolerations"]] == ["ingest", "nvidia.com/gpu"]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64", "nvidia.com/gpu.product": "NVIDIA-L4"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment(objects, pod["containers"][0])["LOSSGATE_DEVICE"] == "gpu"
    assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]


def test_policy_lets_through_what_the_settings_name() -> None:
    """Ports come from the addresses, unless they are given; metrics only to those who scrape."""
    spec = one(render("secure"), "NetworkPolicy")["spec"]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [
        [53, 53],
        [9093, 9094],
        [9000],
        [8443],
        [4317],
    ]
    assert spec["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert [port["port"] for rule in spec["ingress"] for port in rule["ports"]] == [9400]
    selected = spec["podSelector"]["matchLabels"]
    for each in render("jobs"):
        if "template" in each.get("spec", {}):
            assert selected.keys() <= each["spec"]["template"]["metadata"]["labels"].keys()


def test_config_change_restarts_the_workers() -> None:
    """A ConfigMap is read at the start only, so its hash stands in the pods' template."""

    def checksum(lanes: int) -> str:
        template = one(render("minimal", {"settings": {"LOSSGATE_LANES": lanes}}), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum(2) == checksum(2) != checksum(3)
