"""Dockerfile, lock files, SBOMs, chart and README say the same."""

import json
import os
import re
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from scripts.sbom import VARIANTS, packages
from worker.settings import Settings

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def locked(name: str) -> dict[str, str]:
    """Versions by package that a lock file gives the image's Python."""
    lines = (line.removesuffix("\\") for line in (REPOSITORY / name).read_text().splitlines() if re.match(r"\w", line))
    image = {"python_version": "3.11", "python_full_version": "3.11.15"}
    found = [each for each in map(Requirement, lines) if each.marker is None or each.marker.evaluate(image)]
    return {each.name: str(each.specifier).removeprefix("==") for each in found}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_image_has_the_tested_versions(variant: str) -> None:
    """What the tests ran with is what is shipped; only CUDA's libraries and TensorFlow's other build come on top."""
    tested, shipped = locked("requirements.lock"), locked(f"docker/runtime-{variant}.lock")
    if variant == "cpu":
        assert shipped.pop("tensorflow-cpu") == tested["tensorflow"]
    else:
        shipped = {name: version for name, version in shipped.items() if not name.startswith("nvidia-")}
    assert len(shipped) > 40
    assert {name: tested.get(name) for name in shipped} == shipped


def test_the_gpu_image_has_cuda_and_the_cpu_image_has_not() -> None:
    """Each variant carries one TensorFlow, and only the GPU's carries gigabytes of CUDA."""
    cpu, gpu = locked("docker/runtime-cpu.lock"), locked("docker/runtime-gpu.lock")
    assert "tensorflow" in gpu
    assert "tensorflow-cpu" not in gpu
    assert "tensorflow-cpu" in cpu
    assert "tensorflow" not in cpu
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= gpu.keys()
    assert not [name for name in cpu if name.startswith("nvidia-")]
    assert {name for name in gpu if not name.startswith(("nvidia-", "tensorflow"))} == {
        name for name in cpu if not name.startswith("tensorflow")
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_left_out_is_left_out(variant: str) -> None:
    """No build tools, no compiler's bindings, no TensorBoard."""
    left_out = re.findall(r"^([a-z-]+) ;", (DOCKER / "leave-out.txt").read_text(), re.MULTILINE)
    assert {"setuptools", "wheel"} <= set(left_out)
    assert not {*left_out, "pip", "hatchling"} & locked(f"docker/runtime-{variant}.lock").keys()


@pytest.mark.parametrize("lock", ["runtime-cpu.lock", "runtime-gpu.lock", "build.lock"])
def test_every_package_has_hashes(lock: str) -> None:
    """A package without a hash would be whatever the index serves that day."""
    text = (DOCKER / lock).read_text()
    assert len(packages(text)) > 3
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_sbom_is_of_the_lock(variant: str) -> None:
    """A bill of materials of last month's lock file would be worse than none; `make lock` writes both."""
    sbom = json.loads((DOCKER / f"sbom-{variant}.cdx.json").read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["version"] == PROJECT["version"]
    listed = {each["name"]: each["version"] for each in sbom["components"]}
    assert listed == locked(f"docker/runtime-{variant}.lock")
    assert all(each["purl"].startswith("pkg:pypi/") for each in sbom["components"])


def test_the_base_is_an_exact_version_of_a_supported_python() -> None:
    """A floating tag changes the image from one build to the next."""
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=python:(\S+)$", DOCKERFILE, re.MULTILINE)
    python, *debian = base.split("-")
    assert debian == ["slim", "bookworm"]
    assert re.fullmatch(r"3\.11\.\d+", python), "the lock files are compiled for 3.11"
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {
        "${PYTHON_IMAGE}",
        "dependencies",
        "worker-cpu",
        "worker-${VARIANT}",
    }


def test_user_and_port_are_the_charts() -> None:
    """The chart runs the image as a user of its own choice and probes a port; both are the image's."""
    values = yaml.safe_load((REPOSITORY / "helm/lossgate/values.yaml").read_text())
    assert f"LOSSGATE_HEALTH_PORT={values['healthPort']}" in DOCKERFILE
    assert f"EXPOSE {values['healthPort']}" in DOCKERFILE
    assert Settings.model_fields["health_port"].default == values["healthPort"]
    (uid,) = re.findall(r"useradd --uid (\d+)", DOCKERFILE)
    assert f"USER {uid}:{uid}" in DOCKERFILE


def test_the_health_check_asks_what_is_served() -> None:
    """A health check of a path that does not exist would restart a healthy worker for ever."""
    (check,) = re.findall(r"^HEALTHCHECK .*\n +CMD (.+)$", DOCKERFILE, re.MULTILINE)
    paths = re.findall(r"'(/\w+)'", check)
    assert paths == ["/startup", "/live"]
    for path in paths:
        assert f'"{path}"' in (REPOSITORY / "worker/health.py").read_text()


@pytest.mark.parametrize(("failing", "healthy"), [(None, True), ("/startup", False), ("/live", False)])
def test_the_health_check_fails_with_what_it_asks(failing: str | None, healthy: bool) -> None:  # noqa: FBT001 -- a case
    """The very command of the image, against a server whose probes answer as a worker's do."""

    class Probes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == failing else 200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    (check,) = re.findall(r"^HEALTHCHECK .*\n +CMD (.+)$", DOCKERFILE, re.MULTILINE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Probes) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        done = subprocess.run(
            [sys.executable, *json.loads(check)[1:]],
            env={**os.environ, "LOSSGATE_HEALTH_PORT": str(server.server_port)},
            capture_output=True,
            check=False,
        )
        server.shutdown()
    assert (done.returncode == 0) == healthy


def test_everything_copied_is_let_through() -> None:
    """What Dockerfile.dockerignore holds back can't be copied: the build would fail where nobody here can run it."""
    lets_through = re.findall(r"^!(\S+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            name = source.replace("${VARIANT}", "cpu")
            assert (REPOSITORY / name).exists(), name
            assert any(Path(name).match(pattern) for pattern in lets_through), name


@pytest.mark.parametrize("name", ["install-dependencies", "install-package"])
def test_the_dry_run_runs_the_images_steps(name: str) -> None:
    """docker/try-without-engine proves the build only while it runs what the Dockerfile runs."""
    assert re.search(rf"^RUN docker/{name}\b", DOCKERFILE, re.MULTILINE)
    assert re.search(rf"^inside .*docker/{name}\b", (DOCKER / "try-without-engine").read_text(), re.MULTILINE)


def test_the_readme_names_the_base() -> None:
    """The page that says what was tried must speak of the image there is."""
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    readme = (DOCKER / "README.md").read_text()
    assert base in readme
    for command in re.findall(r"docker build .*", DOCKERFILE):
        assert command in readme
