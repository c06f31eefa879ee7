"""Values of the chart: known to the schema, documented, closed to typing errors.  Needs no helm."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts.chart_readme import described, undescribed
from scripts.chart_schema import SET_BY_THE_CHART
from tests.helm.support import CHART, MATRIX
from worker import __version__
from worker.settings import Settings

TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
VALUES = yaml.safe_load(TEXT)
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
HANDED_DOWN = {"global"}  # Helm's own, from a parent chart


def _paths(properties: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, schema in properties.items():
        yield f"{path}{name}"
        yield from _paths(schema.get("properties", {}), f"{path}{name}.")


def _values_in(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{path}{name}"
        below = schema["properties"].get(name, {})
        if "properties" in below:
            yield from _values_in(value, below, f"{path}{name}.")


def _open_objects(schema: Any, path: str = "") -> Iterator[str]:
    if isinstance(schema, dict):
        is_object = "properties" in schema and schema.get("type", "object") == "object"
        if is_object and "additionalProperties" not in schema and not path.endswith("/properties"):
            yield path
        for name, value in schema.items():
            yield from _open_objects(value, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from _open_objects(value, f"{path}/{number}")


def test_schema_and_values_know_the_same_names() -> None:
    """A value that only one of them has is a typing error, or forgotten."""
    assert set(_values_in(VALUES, SCHEMA)) == set(_paths(SCHEMA["properties"])) - HANDED_DOWN


def test_no_object_is_open() -> None:
    """Every object lists its names and refuses others, or says of what kind all its values are."""
    assert list(_open_objects(SCHEMA)) == []


def test_schema_is_a_schema() -> None:
    """Helm would take a malformed one for a lax one."""
    Draft7Validator.check_schema(SCHEMA)
    assert list(Draft7Validator(SCHEMA).iter_errors(VALUES)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"kafka": {"bootstrapServer": "a:1"}},
        {"replicas": -1},
        {"settings": {"LOSSGATE_LANS": 2}},
        {"settings": {"LOSSGATE_LANES": 0}},
        {"settings": {"LOSSGATE_KAFKA_PROPERTIES": "{}"}},
        {"settings": {"LOSSGATE_LOG_LEVEL": "loud"}},
        {"tolerations": [{"kee": "a"}]},
        {"affinity": {"nodeAffinity": {"required": {}}}},
        {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"nam": "s", "key": "k"}}}]},
        {"podLabels": {"app.kubernetes.io/component": "x"}},
        {"schemaRegistry": {"url": "https://user:password@registry"}},
        {"autoscaling": {"type": "both"}},
        {"replay": {"name": "June"}},
    ],
)
def test_schema_refuses(values: dict[str, Any]) -> None:
    """Unknown names, values out of range, secrets in plain sight."""
    assert list(Draft7Validator(SCHEMA).iter_errors(values))


def test_every_value_is_documented() -> None:
    """Each has a comment in values.yaml, from which its row in the chart's README is made."""
    assert list(undescribed(VALUES, described(TEXT))) == []


def test_what_the_chart_sets_is_a_setting() -> None:
    """A setting that was renamed is not forgotten among those that only the chart may set."""
    assert Settings.model_fields.keys() >= SET_BY_THE_CHART


def test_versions_agree() -> None:
    """The chart installs the image of this version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


def test_matrix_is_there() -> None:
    """An empty matrix would pass every test below it."""
    assert {"minimal", "gpu", "secure", "keda", "hpa", "jobs"} <= set(MATRIX)
