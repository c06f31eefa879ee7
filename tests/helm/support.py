"""What the tests of the chart share: helm, the values to render with, and what comes out."""

import functools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent.parent
CHART = REPOSITORY / "helm" / "lossgate"
TOOLS = Path(os.environ.get("LOSSGATE_CACHE") or REPOSITORY / ".cache") / "go-tools"
MATRIX = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))

_WHERE = ("--namespace", "ingest", "--kube-version", "1.36.0")

Object = dict[str, Any]


def tool(name: str) -> str:
    """Path of a Go program; skips the test where it was not built."""
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not built: scripts/need-go-tools {name}")
    return str(path)


def run_helm(
    command: str, *cases: str, values: dict[str, Any] | None = None, only: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `helm lint` or `helm template` with the minimal values, those of the cases, and these over them."""
    name = [] if command == "lint" else ["gate-1"]
    files = [option for case in ("minimal", *cases) for option in ("--values", str(CHART / "ci" / f"{case}.yaml"))]
    more = ["--strict"] if command == "lint" else ["--show-only", f"templates/{only}.yaml"] if only else []
    return subprocess.run(
        [tool("helm"), command, *name, str(CHART), *files, "--values", "-", *more, *_WHERE],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@functools.cache
def _rendered(case: str, values: str) -> str:
    done = run_helm("template", case, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(case: str = "minimal", values: dict[str, Any] | None = None) -> list[Object]:
    """Objects that a case of the matrix gives, with these values over it."""
    return [each for each in yaml.safe_load_all(_rendered(case, json.dumps(values or {}))) if each]


def one(objects: list[Object], kind: str, ending: str = "") -> Object:
    """The one object of a kind (and of a name with this ending)."""
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(ending)]
    return found


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod spec, with the name of what it belongs to."""
    for each in objects:
        if "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def environment(objects: list[Object], container: Object) -> dict[str, str]:
    """The environment a container sees; a value from a Secret reads `secret:name/key`."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for each in container.get("env", []):
        if "value" in each:
            value = each["value"]
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[each["name"]] = value.replace("$$(", "$(")
        else:
            reference = each["valueFrom"]["secretKeyRef"]
            found[each["name"]] = f"secret:{reference['name']}/{reference['key']}"
    return found
