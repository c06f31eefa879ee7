"""Write docker/prometheus/alerts.yaml, the chart's alerts for docker/compose.yaml: `python -m scripts.compose_alerts`.

Needs helm; `make chart` builds it and calls this.
"""

import os
import subprocess
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parent.parent
ALERTS = REPOSITORY / "docker" / "prometheus" / "alerts.yaml"
HELM = Path(os.environ.get("LOSSGATE_CACHE") or REPOSITORY / ".cache") / "go-tools" / "helm"

_HEAD = "# The chart's alerts as docker/compose.yaml needs them; made by `make chart`.\n"
_VALUES = (
    "kafka.bootstrapServers=kafka:19092",
    "kafka.partitions=4",
    "allowedUriPrefixes={s3://masters/}",
    "schemaRegistry.url=http://registry:8080/apis/ccompat/v7",
    "podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "prometheusRule.lag.source=none",  # nothing here exports the consumer group's lag
)


def rendered() -> str:
    """Return the file's text, from the chart as it is."""
    values = [option for value in _VALUES for option in ("--set", value)]
    where = ["--namespace", "compose", "--kube-version", "1.36.0", "--show-only", "templates/prometheusrule.yaml"]
    done = subprocess.run(  # noqa: S603 -- our own tool and chart
        [str(HELM), "template", "lossgate", str(REPOSITORY / "helm" / "lossgate"), *where, *values],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"helm could not render the alerts:\n{done.stderr}")
    groups = yaml.safe_load(done.stdout)["spec"]["groups"]
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)
    return _HEAD + text


if __name__ == "__main__":
    ALERTS.write_text(rendered())
