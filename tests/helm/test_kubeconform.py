"""The matrix held against the schemas by kubeconform; it is built by `make chart`, and skipped otherwise."""

import subprocess

import pytest

from tests.helm.support import MATRIX, REPOSITORY, run_helm, tool

SCHEMAS = str(REPOSITORY / "tests" / "helm" / "schemas" / "{{.ResourceKind}}{{.KindSuffix}}.json")


@pytest.mark.parametrize("case", MATRIX)
def test_kubeconform(case: str) -> None:
    """Strict, with every kind known."""
    program = tool("kubeconform")
    done = subprocess.run(
        [program, "-strict", "-summary", "-schema-location", SCHEMAS],
        input=run_helm("template", case).stdout,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout
