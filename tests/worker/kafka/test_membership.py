"""The membership the offsets are committed under."""

import struct

from confluent_kafka import Consumer

from worker.kafka.membership import valid_membership


def _metadata(generation: int, member: bytes) -> bytes:
    return b"CGMDv2:" + struct.pack("<i", generation) + b"group\0" + member + b"\0\x01"


def test_metadata_that_name_no_member_are_not_used() -> None:
    """The brokers take transactional offsets of nobody unchecked: a worker without membership must not send any."""
    assert valid_membership("m-1", _metadata(3, b"m-1")) == _metadata(3, b"m-1")
    assert valid_membership("m-1", _metadata(-1, b"m-1")) is None
    assert valid_membership("m-1", _metadata(3, b"")) is None
    assert valid_membership("m-1", _metadata(3, b"m-2")) is None
    assert valid_membership("", _metadata(3, b"")) is None
    assert valid_membership(None, _metadata(-1, b"")) is None


def test_a_client_outside_any_group_has_no_membership() -> None:
    """The form of the metadata is librdkafka's own; this fails if an upgrade changes it."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "group", "log_level": 0})
    assert consumer.consumer_group_metadata() == _metadata(-1, b"")
    assert valid_membership(consumer.memberid(), consumer.consumer_group_metadata()) is None
    consumer.close()
