"""Scaling: by KEDA or by an HPA or not at all, and never past the partitions."""

from typing import Any

import pytest

from tests.helm.support import MATRIX, one, render


def _kinds(objects: list[dict[str, Any]]) -> set[str]:
    return {each["kind"] for each in objects}


@pytest.mark.parametrize("case", MATRIX)
def test_one_master_of_the_replicas(case: str) -> None:
    """Never two autoscalers, and no fixed number beside one: each upgrade would set it back."""
    objects = render(case)
    masters = _kinds(objects) & {"ScaledObject", "HorizontalPodAutoscaler"}
    assert len(masters) <= 1
    assert ("replicas" in one(objects, "Deployment")["spec"]) == (not masters)


def test_keda_scales_on_the_lag_of_the_workers_group() -> None:
    """Topic and group are the workers' own; as many as partitions at most, down slowly, with a fallback."""
    objects = render("keda")
    spec = one(objects, "ScaledObject")["spec"]
    config = one(objects, "ConfigMap", "-lossgate")["data"]
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "kafka"
    asked = trigger["metadata"]
    assert asked["topic"] == config["LOSSGATE_DELIVERIES_TOPIC"]
    assert asked["consumerGroup"] == config["LOSSGATE_KAFKA_GROUP_ID"]
    assert asked["bootstrapServers"] == config["LOSSGATE_KAFKA_BOOTSTRAP_SERVERS"]
    assert asked["allowIdleConsumers"] == "false"
    assert asked["offsetResetPolicy"] == "earliest"
    assert all(isinstance(value, str) for value in asked.values())
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 12)
    assert spec["fallback"] == {"failureThreshold": 4, "replicas": 2}
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]
    assert spec["scaleTargetRef"]["name"] == one(objects, "Deployment")["metadata"]["name"]
    assert trigger["authenticationRef"]["name"] == one(objects, "TriggerAuthentication")["metadata"]["name"]


def test_keda_can_use_an_authentication_that_exists() -> None:
    """By its name and kind; none of our own is made then."""
    reference = {"name": "kafka", "kind": "ClusterTriggerAuthentication"}
    objects = render("minimal", {"autoscaling": {"type": "keda", "keda": {"authenticationRef": reference}}})
    assert one(objects, "ScaledObject")["spec"]["triggers"][0]["authenticationRef"] == reference
    assert "TriggerAuthentication" not in _kinds(objects)


def test_hpa_is_the_alternative() -> None:
    """On CPU, or on metrics of one's own, with the same pace."""
    spec = one(render("hpa"), "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 75}
    assert spec["behavior"]["scaleDown"]["policies"][0]["value"] == 1
    (metric,) = one(render("hpa-external"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["type"] == "External"
