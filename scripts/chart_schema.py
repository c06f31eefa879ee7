"""The made parts of the chart's values.schema.json: settings from the worker, affinity and the like from Kubernetes.

`python -m scripts.readme_tables` (`make format`) writes them into the file; the rest of it is written by hand.
"""

import json
from pathlib import Path
from typing import Any, Final

from worker.settings import Settings

REPOSITORY: Final = Path(__file__).parent.parent
SCHEMA: Final = REPOSITORY / "helm" / "lossgate" / "values.schema.json"
KUBERNETES: Final = REPOSITORY / "tests" / "helm" / "schemas" / "kubernetes-definitions.json"

SET_BY_THE_CHART: Final = {  # from values of their own, or never in a ConfigMap
    "kafka_bootstrap_servers",
    "kafka_group_id",
    "kafka_properties",
    "deliveries_topic",
    "verdicts_topic",
    "dead_letters_topic",
    "retries_topic",
    "schema_registry_url",
    "schema_registry_properties",
    "drain_deadline_s",
    "allowed_uri_prefixes",
    "device",
    "health_host",
    "health_port",
    "replay_health_port",
}
_BORROWED: Final = {  # definition here: definition of Kubernetes
    "affinity": "io.k8s.api.core.v1.Affinity",
    "egressRule": "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
    "environmentVariable": "io.k8s.api.core.v1.EnvVar",
    "metric": "io.k8s.api.autoscaling.v2.MetricSpec",
    "peer": "io.k8s.api.networking.v1.NetworkPolicyPeer",
    "resources": "io.k8s.api.core.v1.ResourceRequirements",
    "toleration": "io.k8s.api.core.v1.Toleration",
}
_LIMITS: Final = {"exclusiveMinimum", "exclusiveMaximum", "minimum", "maximum", "enum", "type", "items", "anyOf"}


def with_made_parts(text: str) -> str:
    """Return the schema file's text with the made definitions made anew."""
    schema = json.loads(text)
    by_hand = {name: value for name, value in schema["definitions"].items() if not _is_made(name)}
    schema["definitions"] = by_hand | {"settings": _settings()} | _borrowed()
    return json.dumps(schema, indent=2) + "\n"


def _is_made(name: str) -> bool:
    return name == "settings" or name in _BORROWED or name.startswith("io.k8s.")


def _settings() -> dict[str, Any]:
    prefix = str(Settings.model_config["env_prefix"])
    properties = Settings.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            f"{prefix}{name.upper()}": {
                "description": schema["description"],
                **{key: value for key, value in schema.items() if key in _LIMITS},
            }
            for name, schema in properties.items()
            if name not in SET_BY_THE_CHART
        },
    }


def _borrowed() -> dict[str, Any]:
    """Definitions of Kubernetes, and those they need."""
    definitions = json.loads(KUBERNETES.read_text(encoding="utf-8"))["definitions"]
    needed: dict[str, Any] = {}
    waiting = list(_BORROWED.values())
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = _local(definitions[name], waiting)
    borrowed = {name: {"$ref": f"#/definitions/{definition}"} for name, definition in _BORROWED.items()}
    return borrowed | dict(sorted(needed.items()))


def _local(schema: Any, found: list[str]) -> Any:
    if isinstance(schema, list):
        return [_local(each, found) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found.append(schema["$ref"].rsplit("/", 1)[1])
        return {"$ref": f"#/definitions/{found[-1]}"}
    return {name: _local(value, found) for name, value in schema.items()}
