"""What happens between a mix and a delivery: all of it harmless, and some of it looks lossy.

Everything here is done to *true* recordings; the network has to learn restraint from it.
"""

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from model.constants import ANALYSIS_RATES_HZ
from model.training.chance import happens

Audio = NDArray[np.float32]  # shape (n, 2)
_SILENCE = 1e-9  # a peak below this cannot be scaled up


def other_rate_hz(rate_hz: int) -> int:
    """44.1 for 48 kHz and the reverse."""
    low, high = ANALYSIS_RATES_HZ
    return high if rate_hz == low else low


def set_peak(samples: Audio, peak_dbfs: float) -> Audio:
    """Scale to a peak; silence stays silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak < _SILENCE else samples * np.float32(10.0 ** (peak_dbfs / 20.0) / peak)


def equalise(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """One to three random peaking filters of up to 8 dB."""
    out = samples.astype(np.float64)
    for _ in range(rng.integers(1, 4)):
        centre_hz, q = float(np.exp(rng.uniform(np.log(60), np.log(15_000)))), rng.uniform(0.4, 2.0)
        amplitude = 10.0 ** (rng.uniform(-8.0, 8.0) / 40.0)
        omega = 2.0 * np.pi * centre_hz / rate_hz
        alpha = np.sin(omega) / (2.0 * q)
        # Peaking equaliser after Bristow-Johnson's cookbook.
        b = np.array([1 + alpha * amplitude, -2 * np.cos(omega), 1 - alpha * amplitude])
        a = np.array([1 + alpha / amplitude, -2 * np.cos(omega), 1 - alpha / amplitude])
        out = signal.lfilter(b / a[0], a / a[0], out, axis=0)
    return out.astype(np.float32)


def low_pass(samples: Audio, rate_hz: int, edge_hz: float, rng: np.random.Generator) -> Audio:
    """Low-pass with a random steepness: some masters end at 16 kHz by choice."""
    taps = int(rng.choice([101, 255, 511])) | 1
    kernel = signal.firwin(taps, min(edge_hz, 0.48 * rate_hz), fs=rate_hz, window=("kaiser", 10.0))
    return signal.fftconvolve(samples, kernel[:, None], mode="same").astype(np.float32)


def limit(samples: Audio, drive_db: float) -> Audio:
    """Drive into a soft clipper, as loud masters are."""
    driven = samples * np.float32(10.0 ** (drive_db / 20.0))
    return np.tanh(driven).astype(np.float32)


def compress(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Feed-forward compression with a one-pole envelope."""
    ratio, threshold_db = rng.uniform(2.0, 6.0), rng.uniform(-30.0, -12.0)
    pole = np.exp(-1.0 / (rate_hz * rng.uniform(0.01, 0.15)))
    envelope = signal.lfilter([1 - pole], [1, -pole], np.abs(samples).max(axis=1))
    over_db = np.maximum(20.0 * np.log10(envelope + 1e-6) - threshold_db, 0.0)
    gain = 10.0 ** (-over_db * (1.0 - 1.0 / ratio) / 20.0)
    return (samples * gain[:, None]).astype(np.float32)


def there_and_back(samples: Audio, rate_hz: int, other_hz: int, quality: str) -> Audio:
    """Resample to another rate and back, as a 48 kHz session for a 44.1 kHz release is."""
    there = soxr.resample(samples, rate_hz, other_hz, quality=quality)
    back = soxr.resample(there, other_hz, rate_hz, quality=quality)
    length = min(len(back), len(samples))
    out = np.zeros_like(samples)
    out[:length] = back[:length]
    return out


def hiss(samples: Audio, level_dbfs: float, rng: np.random.Generator) -> Audio:
    """Tape and microphone noise."""
    noise = rng.standard_normal(samples.shape).astype(np.float32)
    return samples + noise * np.float32(10.0 ** (level_dbfs / 20.0))


def to_int16(samples: Audio, rng: np.random.Generator, *, dither: bool) -> NDArray[np.int16]:
    """Quantise to 16 bit, with triangular dither of one step or without."""
    scaled = samples.astype(np.float64) * 32_768.0
    if dither:
        scaled = scaled + rng.random(samples.shape) - rng.random(samples.shape)
    return np.clip(np.round(scaled), -32_768, 32_767).astype(np.int16)


def master(samples: Audio, rate_hz: int, rng: np.random.Generator) -> tuple[Audio, tuple[str, ...]]:
    """Master a mix at random; return it with tags for what was done."""
    tags: list[str] = []
    out = set_peak(samples, -1.0)
    if happens(rng, 0.5):
        out = equalise(out, rate_hz, rng)
        tags.append("equalised")
    if happens(rng, 0.3):
        out = compress(set_peak(out, -1.0), rate_hz, rng)
        tags.append("compressed")
    if happens(rng, 0.3):
        out = limit(set_peak(out, -1.0), float(rng.uniform(3.0, 12.0)))
        tags.append("limited")
    if happens(rng, 0.12):
        out = hiss(set_peak(out, -1.0), float(rng.uniform(-80.0, -50.0)), rng)
        tags.append("hiss")
    if happens(rng, 0.10):
        out = low_pass(out, rate_hz, float(rng.uniform(14_000.0, 20_000.0)), rng)
        tags.append("low-passed")
    if happens(rng, 0.08):
        out = there_and_back(out, rate_hz, other_rate_hz(rate_hz), "HQ")
        tags.append("resampled")
    peak_dbfs = float(rng.uniform(-3.0, -0.1) if happens(rng, 0.7) else rng.uniform(-18.0, -3.0))
    return set_peak(out, peak_dbfs), tuple(tags)


VARIANTS = ("low-passed", "resampled", "limited", "equalised", "dithered", "hiss")


def variant(
    samples: Audio, rate_hz: int, rng: np.random.Generator, kind: str | None = None
) -> tuple[NDArray[np.int16], str]:
    """Make a second true recording of the same music, as a hard negative.

    Args:
        samples: shape (n, 2), the master.
        rate_hz: its rate.
        rng: the source of chance.
        kind: one of ``VARIANTS``; drawn at random where None, low-passing most often.

    Returns:
        16-bit samples and the kind.
    """
    chosen = kind or str(rng.choice(VARIANTS, p=[0.35, 0.2, 0.15, 0.1, 0.1, 0.1]))
    out = samples
    if chosen == "low-passed":
        out = low_pass(samples, rate_hz, float(rng.choice([14e3, 15e3, 16e3, 17e3, 18e3, 19e3, 20e3])), rng)
    elif chosen == "resampled":
        other_hz = int(rng.choice([32_000, other_rate_hz(rate_hz), 96_000]))
        out = there_and_back(samples, rate_hz, other_hz, str(rng.choice(["MQ", "HQ", "VHQ"])))
    elif chosen == "limited":
        out = limit(samples, float(rng.uniform(3.0, 12.0)))
    elif chosen == "equalised":
        out = set_peak(equalise(samples, rate_hz, rng), -1.0)
    elif chosen == "hiss":
        out = hiss(samples, float(rng.uniform(-80.0, -50.0)), rng)
    else:
        out = samples * np.float32(10.0 ** (rng.uniform(-9.0, 0.0) / 20.0))
    return to_int16(out, rng, dither=chosen == "dithered" or happens(rng, 0.5)), chosen
