"""Which fault happens when, from a seed.  Pure."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is done to the system."""

    KILL_WORKER = "SIGKILL of a worker"
    FREEZE_WORKER = "SIGSTOP of a worker"
    STOP_WORKER = "SIGTERM of a worker"
    KILL_DECODER = "SIGKILL of a decoder child"
    STORE_OUTAGE = "object store answers 503 only"
    FREEZE_BROKER = "SIGSTOP of the broker"
    KILL_BROKER = "SIGKILL of the broker"
    RESTART_BROKER = "restart of the broker"


LASTS_S: Mapping[Fault, tuple[float, float]] = {
    Fault.FREEZE_WORKER: (1.0, 12.0),  # both sides of the session and transaction timeouts of the run, 6 and 5 s
    Fault.STORE_OUTAGE: (2.0, 15.0),
    Fault.FREEZE_BROKER: (1.0, 8.0),
    Fault.KILL_BROKER: (0.5, 6.0),
}
WEIGHTS: Mapping[Fault, int] = {
    Fault.KILL_WORKER: 4,
    Fault.FREEZE_WORKER: 3,
    Fault.STOP_WORKER: 2,
    Fault.KILL_DECODER: 2,
    Fault.STORE_OUTAGE: 1,
    Fault.FREEZE_BROKER: 1,
    Fault.KILL_BROKER: 1,
    Fault.RESTART_BROKER: 1,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault.

    Attributes:
        pause_s: quiet before it.
        fault: what.
        lasts_s: how long; 0 for those that are over at once.
        victim: a number from 0 to 1 that chooses the victim.
    """

    pause_s: float
    fault: Fault
    lasts_s: float
    victim: float


def plan(seed: int, pause_s: float, weights: Mapping[Fault, int] = WEIGHTS) -> Iterator[Planned]:
    """Plan faults without end; the same seed gives the same plan.

    Args:
        seed: any number.
        pause_s: mean time between two.
        weights: how often each comes; all come once before any comes a second time.
    """
    chance = random.Random(f"faults {seed}")  # noqa: S311 -- a plan
    for fault in _deck(chance, weights):
        lasts_s = chance.uniform(*LASTS_S.get(fault, (0, 0)))
        yield Planned(chance.uniform(0.3, 1.7) * pause_s, fault, lasts_s, chance.random())


def _deck(chance: random.Random, weights: Mapping[Fault, int]) -> Iterator[Fault]:
    while True:
        first = list(weights)
        more = [fault for fault, weight in weights.items() for _ in range(weight - 1)]
        chance.shuffle(first)
        chance.shuffle(more)
        yield from first + more
