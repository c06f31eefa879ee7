"""Coins with a name, and one order that every step shares."""

import random
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Thing = TypeVar("Thing")
_ORDER_SEED = 5


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Toss a coin that comes up with ``probability``; takes one number from ``rng``."""
    return bool(rng.random() < probability)


def fair_order(things: Sequence[Thing]) -> list[Thing]:
    """Shuffle, the same way each time, so that the first N are a fair sample: of searches as of trials."""
    order = list(things)
    random.Random(_ORDER_SEED).shuffle(order)  # noqa: S311 - a sample, not a secret
    return order
