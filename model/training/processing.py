"""What happens to a file after its decoder: each chain may follow a true master just as well.

Training applies one chain to a recording and its decodes alike, so that the chain says nothing;
the evaluation applies each to decodes and originals, and counts.
"""

from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import ndimage

from model.constants import ANALYSIS_RATES_HZ
from model.training import mastering
from model.training.chance import happens

Audio = NDArray[np.float32]  # shape (n, 2)
CHAINS: Final = ("gain-dither", "trimmed", "24-bit", "equalised", "limited", "there-and-back", "delivered-other-rate")
"""Names of the chains, as they stand in reports."""
LOOK_AHEAD_S: Final = 0.005  # seconds; of the limiter's gain


def look_ahead_limit(samples: Audio, rate_hz: int, drive_db: float, ceiling_dbfs: float = -1.0) -> Audio:
    """Raise by ``drive_db`` and hold the peaks under a ceiling with a smooth gain, as a mastering limiter does.

    Unlike ``mastering.limit``, nothing is bent within a cycle: only the gain moves.
    """
    driven = samples * np.float32(10.0 ** (drive_db / 20.0))
    ceiling = 10.0 ** (ceiling_dbfs / 20.0)
    reach = max(1, round(LOOK_AHEAD_S * rate_hz))
    wanted = np.minimum(1.0, ceiling / (np.abs(driven).max(axis=1) + 1e-9))
    lowest = ndimage.minimum_filter1d(wanted, 2 * reach + 1)
    gain = ndimage.uniform_filter1d(lowest, reach)
    return (driven * gain[:, None]).astype(np.float32)


def process(samples: Audio, rate_hz: int, chain: str, rng: np.random.Generator) -> tuple[Audio, int]:
    """Run one chain over a delivery.

    Args:
        samples: shape (n, 2), in [-1, 1].
        rate_hz: its rate.
        chain: one of ``CHAINS``.
        rng: the source of chance; the same state gives the same chain.

    Returns:
        Samples as a 16-bit (or, for ``24-bit``, 24-bit) file would hold them, and their rate in Hz.

    Raises:
        ValueError: no such chain.
    """
    out, out_hz, dither = samples, rate_hz, happens(rng, 0.5)
    gain = np.float32(10.0 ** (rng.uniform(-6.0, -0.5) / 20.0))
    if chain == "gain-dither":
        out, dither = out * gain, True
    elif chain == "trimmed":
        return out[int(rng.integers(1, 4_000)) :], rate_hz
    elif chain == "24-bit":
        return (np.round(out * gain * 2.0**23) / 2.0**23).astype(np.float32), rate_hz
    elif chain == "equalised":
        out = mastering.set_peak(mastering.equalise(out, rate_hz, rng), -1.0)
    elif chain == "limited":
        out = look_ahead_limit(out, rate_hz, float(rng.uniform(2.0, 8.0)))
    elif chain == "there-and-back":
        out = mastering.there_and_back(out, rate_hz, mastering.other_rate_hz(rate_hz), "HQ")
    elif chain == "delivered-other-rate":
        low, high = ANALYSIS_RATES_HZ
        out_hz = high if rate_hz == low else low
        out = soxr.resample(out, rate_hz, out_hz, quality="HQ")
    else:
        message = f"no chain is called {chain!r}; there are {', '.join(CHAINS)}"
        raise ValueError(message)
    pcm = mastering.to_int16(np.asarray(out), rng, dither=dither)
    return pcm.astype(np.float32) / np.float32(32_768.0), out_hz
