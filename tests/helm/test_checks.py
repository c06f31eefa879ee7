"""Values that contradict each other stop the rendering, with a sentence that says what to do."""

from typing import Any

import pytest

from tests.helm.support import run_helm
from worker.settings import Settings


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is not set"),
        ({"kafka": {"partitions": 0}}, "kafka.partitions is not set"),
        ({"allowedUriPrefixes": []}, "no audio may be read"),
        ({"replicas": 13}, "replicas (13) exceeds kafka.partitions (12)"),
        ({"autoscaling": {"type": "keda", "maxReplicas": 13}}, "maxReplicas (13) exceeds kafka.partitions (12)"),
        ({"autoscaling": {"type": "hpa", "minReplicas": 7, "maxReplicas": 6}}, "minReplicas (7) exceeds"),
        ({"autoscaling": {"type": "hpa", "minReplicas": 0}}, "can't start again from 0"),
        ({"autoscaling": {"type": "keda", "keda": {"fallback": {"replicas": 13}}}}, "fallback.replicas (13)"),
        (
            {
                "autoscaling": {
                    "type": "keda",
                    "keda": {
                        "authenticationRef": {"name": "a"},
                        "secretTargetRef": [{"parameter": "password", "name": "a", "key": "b"}],
                    },
                }
            },
            "not both",
        ),
        ({"kafka": {"properties": {"sasl.password": "x"}}}, "sasl.password, which is a secret"),
        ({"kafka": {"properties": {"ssl.key.pem": "x"}}}, "ssl.key.pem, which is a secret"),
        ({"kafka": {"propertiesSecret": {"name": "s"}, "properties": {"client.rack": "a"}}}, "holds all properties"),
        ({"kafka": {"tls": {"certificateKey": "tls.crt"}}}, "no kafka.tls.secretName"),
        ({"settings": {"LOSSGATE_DECODER_PROCESSES": 3}}, "scratch.sizeGib (5) is less than 3 decoders"),
        ({"podMonitor": {"enabled": True}, "networkPolicy": {"scrapeFrom": []}}, "lets nobody scrape"),
        ({"prometheusRule": {"enabled": True}}, "needs podMonitor.enabled"),
        ({"volumes": [{"name": "a", "mountPath": "/a"}]}, "needs one of claimName"),
        ({"extraEnv": [{"name": "DB_PASSWORD", "value": "x"}]}, "looks like a secret"),
        ({"extraEnv": [{"name": "LOSSGATE_LANES", "value": "2"}]}, "put it into settings"),
        ({"replay": {"enabled": True, "name": "june"}}, "give it a replay.name and replay.args"),
        ({"replay": {"enabled": True, "name": "june", "args": ["replay", "plan"]}}, "must begin with replay, run"),
        ({"kafka": {"oops": 1}}, "additional properties 'oops' not allowed"),
    ],
)
def test_contradiction_is_refused(values: dict[str, Any], complaint: str) -> None:
    """Rendering fails with that sentence."""
    done = run_helm("template", values=values)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_scratch_check_knows_the_worker_s_defaults() -> None:
    """The check repeats two defaults of the worker; here they are held together."""
    defaults = Settings(_env_file=None)
    least_gib = -(-defaults.decoder_processes * defaults.max_object_bytes // 1024**3)
    assert run_helm("template", values={"scratch": {"sizeGib": least_gib}}).returncode == 0
    assert run_helm("template", values={"scratch": {"sizeGib": least_gib - 1}}).returncode != 0
