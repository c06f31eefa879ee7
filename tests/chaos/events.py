"""The events of a run: deliveries, and poison of every kind, from a seed."""

import os
import random
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.chaos.audit import Kind
from tests.chaos.unheard_pipeline import KILLER_URI
from worker.kafka.wire import Wire
from worker.records import Delivery

NAME_HEADER = "chaos-name"
KIND_HEADER = "chaos-kind"

_START = datetime(2026, 1, 1, tzinfo=UTC)
_KEYS = 100  # so that many events share one, and order matters
_UNKNOWN_SCHEMA = struct.pack(">bI", 0, 999_999)


@dataclass(frozen=True, slots=True)
class Sent:
    """One event to send."""

    name: str
    expected: Kind
    partition: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """What the audit reads."""
        return [(NAME_HEADER, self.name.encode()), (KIND_HEADER, self.expected.encode())]


def events(
    seed: int, wire: Wire, count: int, partitions: int, uris: Sequence[str], poison_share: float, killers: int = 0
) -> Iterator[Sent]:
    """Make the events of one group.

    Args:
        seed: any number; the same one gives the same events.
        wire: encodes them.
        count: how many.
        partitions: over how many they are spread.
        uris: the audio they name, one after another.
        poison_share: how many of them can't be read, 0 to 1.
        killers: how many of them kill whoever judges them; they end as dead letters.
    """
    chance = random.Random(f"events {seed}")  # noqa: S311 -- a plan
    kill_at = set(chance.sample(range(count // 3), killers))  # early, so that much comes behind them
    for number in range(count):
        partition = chance.randrange(partitions)
        delivery = Delivery(
            uuid.UUID(int=chance.getrandbits(128), version=4),
            f"delivery-{chance.randrange(_KEYS)}",
            KILLER_URI if number in kill_at else uris[number % len(uris)],
            "chaos",
            _START + timedelta(seconds=number),
        )
        value = wire.encode_delivery(delivery)
        name, key = f"event-{number}", delivery.delivery_id.encode()
        if number in kill_at:
            yield Sent(f"{name} (killer)", Kind.DEAD_LETTER, partition, key, value)
        elif chance.random() < poison_share:
            kind = chance.choice(list(_POISON))
            yield Sent(f"{name} ({kind})", Kind.DEAD_LETTER, partition, key, _POISON[kind](value, chance))
        else:
            yield Sent(name, Kind.VERDICT, partition, key, value)


_POISON: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "tombstone": lambda _value, _chance: None,
    "empty": lambda _value, _chance: b"",
    "garbage": lambda _value, chance: b"\x93" + chance.randbytes(200),
    "garbage behind a schema id": lambda value, _chance: value[:5] + b"\xff" * 30,
    "unknown schema": lambda value, _chance: _UNKNOWN_SCHEMA + value[5:],
    "cut short": lambda value, chance: value[: chance.randrange(6, len(value) - 1)],
    "trailing bytes": lambda value, _chance: value + b"\x00",
    "too large": lambda value, chance: value + chance.randbytes(300_000),
}


def free_prefix() -> str:
    """Name topics and groups of one run, unlike any other's."""
    return f"chaos-{os.getpid()}-{uuid.uuid4().hex[:8]}"
