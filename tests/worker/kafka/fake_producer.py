"""A transactional producer that fails as told, and errors to tell it."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

ABORTABLE = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "stale", txn_requires_abort=True))
RETRIABLE = KafkaException(KafkaError(KafkaError._TIMED_OUT, "slow", retriable=True))
FATAL = KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))


class FakeProducer:
    """Keeps what is committed; fails with what stands in `faults` for a call, one after another."""

    def __init__(self) -> None:
        self.faults: dict[str, deque[Exception | None]] = {}
        self.delivery_faults: deque[KafkaError | None] = deque()
        self.committed: list[tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.calls: list[str] = []
        self.hang = threading.Event()
        self.hang.set()
        self._open: list[Any] = []
        self._reports: list[Callable[[], None]] = []
        self._offsets: dict[tuple[str, int], int] = {}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        faults = self.faults.get(name)
        if faults and (fault := faults.popleft()):
            raise fault

    def poll(self, _timeout: float) -> int:
        """Hand nothing over."""
        return 0

    def init_transactions(self, _timeout: float) -> None:
        """Fail as `init` is told to."""
        self._call("init")

    def begin_transaction(self) -> None:
        """Fail as `begin` is told to."""
        self._call("begin")

    def produce(
        self, topic: str, value: bytes, key: bytes | None, *, headers: Any, on_delivery: Any, **_place: int
    ) -> None:
        """Fail as `produce` is told to; keep the record for the commit."""
        self._call("produce")
        error = self.delivery_faults.popleft() if self.delivery_faults else None
        self._reports.append(lambda: on_delivery(error, None))
        self._open.append((topic, value, key, headers))

    def flush(self, _timeout: float) -> int:
        """Hand over the delivery reports, with the errors they are told."""
        self._call("flush")
        while self._reports:
            self._reports.pop(0)()
        return 0

    def send_offsets_to_transaction(self, offsets: list[Any], membership: bytes, _timeout: float) -> None:
        """Wait while `hang` is cleared; fail as `offsets` is told to."""
        self.hang.wait()
        self._call("offsets")
        assert membership == b"member"
        self._offsets = {(each.topic, each.partition): each.offset for each in offsets}

    def commit_transaction(self, _timeout: float) -> None:
        """Fail as `commit` is told to, or keep what was produced."""
        self._call("commit")
        self.committed += self._open
        self.offsets |= self._offsets
        self._open, self._offsets = [], {}

    def abort_transaction(self, _timeout: float) -> None:
        """Fail as `abort` is told to, or forget what was produced."""
        self._call("abort")
        self._open, self._offsets, self._reports = [], {}, []
