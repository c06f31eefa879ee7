"""Coins with a name."""

import numpy as np


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Toss a coin that comes up with ``probability``; takes one number from ``rng``."""
    return bool(rng.random() < probability)
