"""Secrets reach the pods by reference only."""

import json

from tests.helm.support import environment, one, render
from worker.kafka.client_config import admin_config, make_admin
from worker.settings import Settings


def test_secrets_are_references() -> None:
    """Passwords and keys come from Secrets; plain properties and the mounted files join them in one JSON."""
    objects = render("secure")
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    found = environment(objects, pod["containers"][0])
    assert json.loads(found["LOSSGATE_KAFKA_PROPERTIES"]) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "secret:kafka-user/username",
        "sasl.password": "secret:kafka-user/password",
        "ssl.ca.location": "/etc/lossgate/kafka-tls/ca.crt",
        "ssl.certificate.location": "/etc/lossgate/kafka-tls/tls.crt",
        "ssl.key.location": "/etc/lossgate/kafka-tls/tls.key",
    }
    assert found["LOSSGATE_SCHEMA_REGISTRY_PROPERTIES"] == "secret:registry-client/properties.json"
    assert found["AWS_ACCESS_KEY_ID"] == "secret:object-store/accessKeyId"
    assert found["AWS_SECRET_ACCESS_KEY"] == "secret:object-store/secretAccessKey"  # noqa: S105 -- where it is, not what
    (mounted,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert mounted == {"secretName": "kafka-tls", "defaultMode": 0o440}


def test_librdkafka_knows_the_properties() -> None:
    """What the chart makes of the values is a configuration that the client takes."""
    objects = render(
        "secure", {"kafka": {"tls": {"secretName": "", "caKey": "", "certificateKey": "", "privateKeyKey": ""}}}
    )
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    properties = json.loads(environment(objects, container)["LOSSGATE_KAFKA_PROPERTIES"])
    make_admin(admin_config(Settings(_env_file=None, kafka_properties=properties)))


def test_the_whole_json_can_be_one_secret() -> None:
    """For those who keep all of it in one place."""
    objects = render("one-secret")
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    found = environment(objects, container)
    assert found["LOSSGATE_KAFKA_PROPERTIES"] == "secret:kafka-properties/properties.json"
    assert container["image"].startswith("registry.example.com/audio/lossgate@sha256:")


def test_dollar_signs_stay_what_they_are() -> None:
    """Kubernetes expands $(NAME) in values; a property that holds such a text is not to be expanded."""
    objects = render("secure", {"kafka": {"properties": {"client.rack": "$(HOME)"}}})
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (value,) = [each["value"] for each in container["env"] if each["name"] == "LOSSGATE_KAFKA_PROPERTIES"]
    assert '"client.rack":"$$(HOME)"' in value
