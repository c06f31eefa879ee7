"""A consumer whose membership in its group can be read from another thread."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

_FRESH_S: Final = 0.05
_NO_GENERATION: Final = b"CGMDv2:\xff\xff\xff\xff"  # how librdkafka serialises "not a member of any generation"


class MemberConsumer(Consumer):
    """Consumer that notes its membership on the poll thread, for the publisher's transactions.

    The publisher must not ask the client itself: confluent-kafka lets one thread at a time into a client, and one
    that waits there for `poll` to end does so with the interpreter lock in its hands, which `poll` needs to end
    (measured with 2.16: `memberid()` on another thread stops the process for ever).
    A noted membership that a rebalance has overtaken does no harm: the brokers refuse it, and the transaction is
    put back.

    Attributes:
        on_statistics: told librdkafka's statistics (JSON), from within `poll`.
        on_commit: told of the answers to asynchronous commits, from within `poll` and `close`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__({**config, "on_commit": self._on_commit, "stats_cb": self._on_statistics})
        self.on_commit: Callable[[KafkaError | None, list[TopicPartition]], None] = lambda _error, _partitions: None
        self.on_statistics: Callable[[str], None] = lambda _statistics: None
        self._membership: bytes | None = None
        self._noted_at = 0.0

    @property
    def membership(self) -> bytes | None:
        """Metadata for `Producer.send_offsets_to_transaction`; None while there is no membership.  From any thread."""
        return self._membership

    def note_membership(self) -> None:
        """Note the membership as it is, unless that was done just now; on the poll thread."""
        now = time.monotonic()
        if now - self._noted_at >= _FRESH_S:
            self._noted_at = now
            self._membership = valid_membership(self.memberid(), self.consumer_group_metadata())

    def _on_statistics(self, statistics: str) -> None:
        self.on_statistics(statistics)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        self.on_commit(error, partitions)


def valid_membership(member_id: str | None, metadata: bytes) -> bytes | None:
    """Return the metadata if they name a member and a generation.

    The brokers take transactional offsets that name neither without any check, so such metadata must not be used.
    """
    if not member_id or member_id.encode() not in metadata or metadata.startswith(_NO_GENERATION):
        return None
    return metadata
