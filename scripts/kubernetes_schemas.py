"""Make tests/helm/schemas/ from the Go modules that define the kinds: `python -m scripts.kubernetes_schemas`.

Needs Go 1.21 or later.  Run it to move to newer versions of the modules below; the files it makes are committed.
They are strict, as the API server is with field validation on: a field that a kind does not have is an error.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

Schema = dict[str, Any]

FOLDER: Final = Path(__file__).parent.parent / "tests" / "helm" / "schemas"
DEFINITIONS: Final = "kubernetes-definitions.json"

KUBERNETES: Final = "k8s.io/kubernetes@v1.36.3"
KINDS: Final = {  # of Kubernetes itself: name of the definition
    "configmap-v1": "io.k8s.api.core.v1.ConfigMap",
    "deployment-apps-v1": "io.k8s.api.apps.v1.Deployment",
    "horizontalpodautoscaler-autoscaling-v2": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "job-batch-v1": "io.k8s.api.batch.v1.Job",
    "networkpolicy-networking-v1": "io.k8s.api.networking.v1.NetworkPolicy",
    "poddisruptionbudget-policy-v1": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "serviceaccount-v1": "io.k8s.api.core.v1.ServiceAccount",
}
_KEDA: Final = "github.com/kedacore/keda/v2@v2.21.0"
_PROMETHEUS: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_PROMETHEUS_CRDS: Final = "example/prometheus-operator-crd/monitoring.coreos.com_"
CUSTOM_KINDS: Final = {  # of CRDs: module and file
    "scaledobject-keda-v1alpha1": (_KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "triggerauthentication-keda-v1alpha1": (_KEDA, "config/crd/bases/keda.sh_triggerauthentications.yaml"),
    "podmonitor-monitoring-v1": (_PROMETHEUS, f"{_PROMETHEUS_CRDS}podmonitors.yaml"),
    "prometheusrule-monitoring-v1": (_PROMETHEUS, f"{_PROMETHEUS_CRDS}prometheusrules.yaml"),
}
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_KEPT: Final = {"type", "enum", "pattern", "minimum", "maximum", "required", "minLength", "maxLength", "minItems"}


def main() -> None:
    """Write every file anew."""
    swagger = json.loads((_module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text(encoding="utf-8"))
    for each in FOLDER.glob("*.json"):
        each.unlink()
    _write(DEFINITIONS, {"definitions": _closure([*KINDS.values(), _META], swagger["definitions"])})
    for file, definition in KINDS.items():
        group, version, kind = _identity(swagger["definitions"][definition])
        _write(f"{file}.json", _document(group, version, kind, {"allOf": [_reference(definition)]}))
    for file, (module, path) in CUSTOM_KINDS.items():
        crd = yaml.safe_load((_module(module) / path).read_text(encoding="utf-8"))
        (version,) = (each for each in crd["spec"]["versions"] if each["storage"])
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = _reference(_META)
        names = crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"]
        _write(f"{file}.json", _document(*names, schema))


def strict(schema: Any) -> Any:
    """Return an OpenAPI schema as JSON Schema, without prose, and closed to unknown fields."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    if "$ref" in schema:
        return _reference(schema["$ref"].rsplit("/", 1)[1])
    made: Schema = {name: value for name, value in schema.items() if name in _KEPT}
    for name in ("items", "additionalProperties", "not"):
        if name in schema:
            made[name] = strict(schema[name])
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if "additionalProperties" not in made and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    return made


def _closure(names: list[str], definitions: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {_QUANTITY: {"type": ["string", "number"]}}  # the API server takes both
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in made:
            made[name] = strict(definitions[name])
            waiting += _references(definitions[name])
    return dict(sorted(made.items()))


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for each in schema.values() for name in _references(each)]


def _reference(definition: str) -> Schema:
    return {"$ref": f"{DEFINITIONS}#/definitions/{definition}"}


def _identity(definition: Schema) -> tuple[str, str, str]:
    (identity,) = definition["x-kubernetes-group-version-kind"]
    return identity["group"], identity["version"], identity["kind"]


def _document(group: str, version: str, kind: str, schema: Schema) -> Schema:
    """Close the schema of one kind over its apiVersion and kind, which must be there."""
    names = {"apiVersion": {"const": f"{group}/{version}".lstrip("/")}, "kind": {"const": kind}}
    return {"allOf": [{"required": ["apiVersion", "kind", "metadata"], "properties": names}, schema]}


def _module(module: str) -> Path:
    command = ["go", "mod", "download", "-json", module]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- the modules above
    return Path(json.loads(done.stdout)["Dir"])


def _write(name: str, schema: Schema) -> None:
    text = json.dumps(schema, indent=1, sort_keys=True)
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
