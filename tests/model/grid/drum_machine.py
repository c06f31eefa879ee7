"""A drum machine: the original that looks most like a codec."""

import numpy as np
from numpy.typing import NDArray


def drum_machine(hits: int, loops: int) -> NDArray[np.float32]:
    """Return noise bursts of some milliseconds, digital silence between, repeated every two seconds: (n, 2).

    That is 120 beats a minute, and 100 of Opus' frames.
    """
    rng = np.random.default_rng(1)
    loop = np.zeros((88_200, 2))
    for start in np.sort(rng.integers(0, len(loop) - 8_000, hits)):
        length = int(rng.integers(1_500, 6_000))
        decay = np.exp(-np.arange(length) / rng.uniform(50.0, 200.0))
        loop[start : start + length] += 0.5 * rng.uniform(0.3, 1.0) * decay[:, None] * rng.uniform(-1, 1, (length, 1))
    track = np.tile(np.round(np.clip(loop, -0.99, 0.99) * 32_767.0) / 32_768.0, (loops, 1))
    return track.astype(np.float32)
