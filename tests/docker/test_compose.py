"""docker/compose.yaml agrees with the Dockerfile, the settings, the chart and what the tests run against."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.kafka.local_kafka import KAFKA_VERSION
from demo.registry.local_registry import REGISTRY_VERSION
from scripts import compose_alerts
from worker import __version__
from worker.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("topics", "schemas", "worker")


def test_images_have_exact_versions() -> None:
    """A floating tag makes tomorrow's stack another one; Kafka and the registry are those of the tests."""
    for name, service in SERVICES.items():
        tag = service["image"].split(":")[1]
        assert re.search(r"\d+\.\d+\.\d+|\d{4}-\d\d-\d\d", tag), name
    assert SERVICES["kafka"]["image"].endswith(f":{KAFKA_VERSION}")
    assert SERVICES["registry"]["image"].endswith(f":{REGISTRY_VERSION}")
    assert {SERVICES[name]["image"] for name in OURS} == {f"lossgate:{__version__}"}


def test_everything_waits_for_what_it_needs() -> None:
    """A condition on a service without a health check, or on one that never ends, would hang the start."""
    for name, service in SERVICES.items():
        for other, needs in service.get("depends_on", {}).items():
            health = SERVICES[other].get("healthcheck", {})
            if needs["condition"] == "service_healthy":
                assert health.get("test"), f"{name} waits for {other}"
            else:
                assert needs["condition"] == "service_completed_successfully"
                assert health == {"disable": True}, f"{name} waits for the end of {other}"


def test_settings_exist() -> None:
    """A misspelt variable would be ignored, and the worker would do something else."""
    known = {f"LOSSGATE_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        given = {each for each in SERVICES[name]["environment"] if each.startswith("LOSSGATE_")}
        assert given
        assert given <= known, name


def test_our_containers_are_hardened() -> None:
    """What the chart forbids its pods is forbidden here too."""
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_the_kill_comes_after_the_drain() -> None:
    """A container killed while it drains leaves an open transaction behind."""
    grace_s = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings.model_fields["drain_deadline_s"].default + 10


def test_ports_are_of_this_machine_only() -> None:
    """The passwords are in plain sight, so nothing may listen to the network."""
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_prometheus_asks_the_worker() -> None:
    """The scrape goes to the worker's port, and gives the labels that the alerts select by."""
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())
    (scrape,) = config["scrape_configs"]
    (target,) = scrape["dns_sd_configs"]
    assert target["names"] == ["worker"]
    assert target["port"] == Settings.model_fields["health_port"].default
    alerts = (DOCKER / "prometheus/alerts.yaml").read_text()
    assert f'job="{scrape["job_name"]}"' in alerts
    assert 'namespace="compose"' in alerts
    assert {"target_label": "namespace", "replacement": "compose"} in scrape["relabel_configs"]


def test_prometheus_takes_the_rules() -> None:
    """Prometheus refuses to start over a rule it can't read."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "rules", DOCKER / "prometheus/alerts.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_alerts_are_the_charts() -> None:
    """One place for the alerts: `make chart` copies them."""
    if not compose_alerts.HELM.exists():
        pytest.skip("helm is not built: scripts/need-go-tools helm")
    assert compose_alerts.ALERTS.read_text() == compose_alerts.rendered()


def test_mounted_files_are_there() -> None:
    """The engine makes an empty folder of a file that is missing, and the service starts without it."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DOCKER / source).exists(), name
            elif not source.startswith("../"):
                assert source in COMPOSE["volumes"], name


def test_grafana_reads_prometheus() -> None:
    """The data source points at the service and port that Prometheus has."""
    (source,) = yaml.safe_load((DOCKER / "grafana/datasources.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    (provider,) = yaml.safe_load((DOCKER / "grafana/dashboards.yaml").read_text())["providers"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in SERVICES["grafana"]["volumes"])
