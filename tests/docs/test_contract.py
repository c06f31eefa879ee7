"""The contract with consumers: a valid AsyncAPI document that says what the code does, and an example that works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schemas.compatibility import unreadable
from worker.constants import (
    REPLAY_HEADER,
    RETRY_ATTEMPT_HEADER,
    RETRY_NOT_BEFORE_HEADER,
    RETRY_SOURCE_HEADER,
    RETRY_TIMESTAMP_HEADER,
)
from worker.kafka.schema_registry import newest_schema, published_schemas
from worker.records import Decision
from worker.settings import Settings

REPOSITORY = Path(__file__).parent.parent.parent
CONTRACT = REPOSITORY / "docs" / "contract"
DOCUMENT = (CONTRACT / "asyncapi.yaml").read_text("utf-8")
SCHEMA = Path(__file__).with_name("asyncapi-3.0.0-kafka.json")


def _check(document: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(document)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_document_is_valid_asyncapi() -> None:
    """Generators and catalogues can read it."""
    done = _check(CONTRACT / "asyncapi.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("action: send", "action: publish"), ("schemaIdLocation:", "schemaIdPlace:"), ("title: Lossgate\n", "")],
)
def test_the_validation_can_fail(tmp_path: Path, right: str, wrong: str) -> None:
    """What was cut out of AsyncAPI's schema left the checks in."""
    assert right in DOCUMENT
    broken = tmp_path / "asyncapi.yaml"
    broken.write_text(DOCUMENT.replace(right, wrong))
    assert _check(broken).returncode != 0


def test_the_document_names_the_newest_schemas() -> None:
    """A new schema version has to be told to the consumers."""
    named = re.findall(r"schemas/(\w+)\.v(\d+)\.avsc", DOCUMENT)
    records = {each.record for each in published_schemas()}
    assert sorted(set(named)) == sorted((record, str(newest_schema(record).version)) for record in records)


def test_the_document_names_topics_and_header() -> None:
    """Addresses are the defaults of the settings, and the header is the one that is written."""
    settings = Settings(_env_file=None)
    addresses = re.findall(r"address: (\S+)", DOCUMENT)
    assert sorted(addresses) == sorted(
        [settings.deliveries_topic, settings.verdicts_topic, settings.dead_letters_topic, settings.retries_topic]
    )
    headers = (
        REPLAY_HEADER,
        *(RETRY_ATTEMPT_HEADER, RETRY_NOT_BEFORE_HEADER, RETRY_SOURCE_HEADER, RETRY_TIMESTAMP_HEADER),
        *("traceparent", "tracestate"),
    )
    assert [each for each in headers if f"{each}:" not in DOCUMENT] == []


def test_every_decision_is_explained() -> None:
    """Whoever reads the contract knows what to do with each decision."""
    text = (CONTRACT / "README.md").read_text("utf-8")
    assert [each for each in Decision if f"| `{each}` |" not in text] == []


def test_references_lead_somewhere() -> None:
    """No link or reference to a file is dead."""
    text = (CONTRACT / "README.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r"\$ref: ([^\"#\s]+)", DOCUMENT)
    assert len(targets) > 5
    assert [target for target in targets if not (CONTRACT / target).exists()] == []


def test_the_schema_in_the_flink_example_reads_our_verdicts() -> None:
    """The example can't be run here; that its schema reads every version of ours into its columns can be seen."""
    text = (CONTRACT / "examples" / "verdicts.flink.sql").read_text("utf-8")
    (found,) = re.findall(r"'value.avro-confluent.schema' = '(.*?)'", text, re.DOTALL)
    schema = json.loads(found)
    columns = re.findall(r"^  (\w+) +[A-Z]+(?:\(3\))?(?: NOT NULL)?,$", text, re.MULTILINE)
    assert [field["name"] for field in schema["fields"]] == columns
    versions = [json.loads(each.text) for each in published_schemas() if each.record == "verdict"]
    assert [unreadable(version, schema) for version in versions] == [[]] * len(versions)
