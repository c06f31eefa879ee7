"""What training does to crops on the fly: harmless treatments, to whole groups or to single recordings.

A treatment of the whole group says nothing about the codec, so the network has to look past it.  One recording
treated alone teaches restraint: a cut-off, a resampler or a dither is no codec.  Decodes are treated alone as well,
less often, so that a treatment does not become proof of innocence.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from model.constants import ANALYSIS_RATES_HZ
from model.training import mastering, processing

Audio = NDArray[np.float32]  # shape (n, 2)
RESAMPLERS: Final = ("LQ", "MQ", "HQ", "VHQ", "polyphase", "short-polyphase")
"""soxr's qualities, and scipy's polyphase filters of two lengths: gentle slopes as other resamplers have."""
_HALF_LENGTHS: Final = {"polyphase": 10, "short-polyphase": 4}  # taps a side at the lower of both rates
_POLYPHASE_BETA: Final = 5.0  # of the Kaiser window
_OTHER_RATES_HZ: Final = (32_000, 36_000, 40_000, 44_100, 48_000, 88_200, 96_000)
_LOW_PASS_HZ: Final = (14_000.0, 20_500.0)
_DITHERS: Final = ("triangular", "rectangular", "high-passed", "shaped")
# Filters of the dither: for "shaped" three taps after Wannamaker (AES 1992), for "high-passed" a plain difference.
_DITHER_SHAPES: Final = {"high-passed": (1.0, -1.0), "shaped": (1.0, -1.623, 0.982, -0.109)}
TREATMENTS: Final = ("low-passed", "resampled", "dithered", "hiss", "limited", "equalised")
_TREATMENT_ODDS: Final = (0.2, 0.35, 0.2, 0.1, 0.05, 0.1)
CHAINS: Final = ("equalised", "look-ahead-limited", "limited", "resampled", "dithered", "low-passed", "hiss")
_CHAIN_ODDS: Final = (0.3, 0.15, 0.1, 0.2, 0.1, 0.1, 0.05)


def _polyphase(samples: Audio, rate_hz: int, to_hz: int, half_length: int) -> Audio:
    divisor = int(np.gcd(rate_hz, to_hz))
    up, down = to_hz // divisor, rate_hz // divisor
    largest = max(up, down)
    taps = signal.firwin(2 * half_length * largest + 1, 1.0 / largest, window=("kaiser", _POLYPHASE_BETA))
    return np.asarray(signal.resample_poly(samples, up, down, axis=0, window=taps), dtype=np.float32)


def resample(samples: Audio, rate_hz: int, to_hz: int, resampler: str) -> Audio:
    """Resample by one of ``RESAMPLERS``: (n, 2) -> about (n * to_hz / rate_hz, 2)."""
    if resampler in _HALF_LENGTHS:
        return _polyphase(samples, rate_hz, to_hz, _HALF_LENGTHS[resampler])
    return np.asarray(soxr.resample(samples, rate_hz, to_hz, quality=resampler))


def resample_and_back(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Resample to a random rate and back, by two random resamplers: as long as before."""
    rates = [rate for rate in _OTHER_RATES_HZ if rate != rate_hz]
    other_hz = int(rng.choice(rates))
    there = resample(samples, rate_hz, other_hz, str(rng.choice(RESAMPLERS)))
    back = resample(there, other_hz, rate_hz, str(rng.choice(RESAMPLERS)))[: len(samples)]
    return np.pad(back, ((0, len(samples) - len(back)), (0, 0)))


def dither(samples: Audio, rng: np.random.Generator) -> Audio:
    """Scale and quantise to 16 bit with dither of a random kind; in [-1, 1] again."""
    gain = 10.0 ** (rng.uniform(-9.0, 0.0) / 20.0)
    kind = str(rng.choice(_DITHERS))
    noise = rng.random(samples.shape) - 0.5
    if kind == "triangular":
        noise = noise + rng.random(samples.shape) - 0.5
    elif kind in _DITHER_SHAPES:
        noise = signal.lfilter(_DITHER_SHAPES[kind], [1.0], noise, axis=0)
    scaled = samples.astype(np.float64) * gain * 32_768.0 + noise
    return (np.clip(np.round(scaled), -32_768, 32_767) / 32_768.0).astype(np.float32)


_FUNCTIONS: Final[dict[str, Callable[[Audio, int, np.random.Generator], Audio]]] = {
    "equalised": lambda x, rate_hz, rng: mastering.set_peak(mastering.equalise(x, rate_hz, rng), -1.0),
    "look-ahead-limited": lambda x, rate_hz, rng: processing.look_ahead_limit(x, rate_hz, float(rng.uniform(2.0, 8.0))),
    "limited": lambda x, _, rng: mastering.limit(x, float(rng.uniform(0.0, 9.0))),
    "resampled": resample_and_back,
    "low-passed": lambda x, rate_hz, rng: mastering.low_pass(x, rate_hz, float(rng.uniform(*_LOW_PASS_HZ)), rng),
    "hiss": lambda x, _, rng: mastering.hiss(x, float(rng.uniform(-85.0, -50.0)), rng),
}


def augment(samples: Audio, rate_hz: int, name: str, rng: np.random.Generator) -> Audio:
    """Apply one of ``TREATMENTS`` or ``CHAINS`` and quantise to 16 bit again, dithered or not.

    Args:
        samples: shape (n, 2), in [-1, 1].
        rate_hz: its rate, one of ``ANALYSIS_RATES_HZ``.
        name: which.
        rng: the source of chance; the same state gives the same treatment.

    Returns:
        Shape (n, 2), in [-1, 1].

    Raises:
        ValueError: no such treatment, or another rate.
    """
    if name not in {*TREATMENTS, *CHAINS} or rate_hz not in ANALYSIS_RATES_HZ:
        message = f"no treatment {name!r} at {rate_hz} Hz"
        raise ValueError(message)
    if name == "dithered":
        return dither(samples, rng)
    out = _FUNCTIONS[name](samples, rate_hz, rng)
    pcm = mastering.to_int16(np.asarray(out), rng, dither=bool(rng.integers(2)))
    return pcm.astype(np.float32) / np.float32(32_768.0)


def draw_treatment(rng: np.random.Generator) -> str:
    """Draw what one recording goes through alone."""
    return str(rng.choice(TREATMENTS, p=_TREATMENT_ODDS))


def draw_chain(rng: np.random.Generator) -> str:
    """Draw what a whole group goes through."""
    return str(rng.choice(CHAINS, p=_CHAIN_ODDS))
