"""Fixtures of all tests: the local Kafka, started once, and topics of their own for each test."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

import tests.cases  # noqa: F401 -- loads hypothesis's profile before any test is read
from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics


@pytest.fixture(scope="session")
def local_kafka() -> Iterator[LocalKafka]:
    """A real broker; started by the first test that asks for it."""
    with LocalKafka() as kafka:
        yield kafka


@pytest.fixture
def topics(local_kafka: LocalKafka) -> Topics:
    """Fresh topics of four partitions each."""
    name = f"test-{uuid4().hex[:12]}"
    fresh = Topics(f"{name}.deliveries", f"{name}.verdicts", f"{name}.dead-letters")
    local_kafka.create_topics(fresh.deliveries, fresh.verdicts, fresh.dead_letters, partitions=4)
    return fresh
