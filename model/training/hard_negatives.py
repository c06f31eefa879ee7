"""True recordings that have fooled detectors: made from a track, or (``synthetic``) from nothing.

Pure functions of samples, rate and chance; none of them has anything to do with a codec.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from model.training import mastering, synthetic
from model.training.chance import happens

Audio = NDArray[np.float32]  # shape (n, 2)
_OLD_BAND_HZ = (100.0, 7_000.0)
_FADE_DB = -60.0  # a fade's end: only a few steps of 16 bit are left
_EIGHT_BIT_STEPS = 128.0


def _limited(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    del rate_hz
    return mastering.limit(mastering.set_peak(samples, -1.0), float(rng.uniform(6.0, 14.0)))


def _clipped(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    del rate_hz
    driven = mastering.set_peak(samples, 0.0) * np.float32(10.0 ** (rng.uniform(3.0, 10.0) / 20.0))
    return np.clip(driven, -1.0, 1.0) * np.float32(0.98)


def _faded(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """A fade down to a few steps of 16 bit, as albums end."""
    del rate_hz
    held = int(len(samples) * rng.uniform(0.1, 0.4))
    fall_db = np.concatenate([np.zeros(held), np.linspace(0.0, _FADE_DB, len(samples) - held)])
    return (samples * (10.0 ** (fall_db / 20.0))[:, None]).astype(np.float32)


def _old_recording(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Mono, 100 Hz to 7 kHz, with surface noise and crackle over the whole band."""
    band = signal.butter(6, _OLD_BAND_HZ, btype="bandpass", fs=rate_hz, output="sos")
    mono = mastering.set_peak(signal.sosfilt(band, samples.mean(axis=1)).astype(np.float32), -3.0)
    noise = rng.standard_normal(len(mono)) * 10.0 ** (rng.uniform(-60.0, -45.0) / 20.0)
    crackle = (rng.random(len(mono)) < 10.0 / rate_hz) * rng.uniform(-0.3, 0.3, len(mono))
    dust = signal.lfilter([1.0], [1.0, -0.7], crackle)
    return np.repeat((mono + noise + dust).astype(np.float32)[:, None], 2, axis=1)


def _there_and_back(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    quality = str(rng.choice(["MQ", "HQ", "VHQ"]))
    return mastering.there_and_back(samples, rate_hz, mastering.other_rate_hz(rate_hz), quality)


def _from_32k(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    return mastering.there_and_back(samples, rate_hz, 32_000, str(rng.choice(["MQ", "HQ", "VHQ"])))


def _from_48k(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Take the samples for a 48 kHz session and bring them to 44.1: the only kind that changes its length."""
    del rate_hz
    return np.asarray(soxr.resample(samples, 48_000, 44_100, quality=str(rng.choice(["MQ", "HQ", "VHQ"]))))


def _eight_bit(samples: Audio, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Samples of 8 bit, as old samplers had, in a 16-bit file at some level."""
    del rate_hz
    coarse = np.round(mastering.set_peak(samples, -0.1) * _EIGHT_BIT_STEPS) / _EIGHT_BIT_STEPS
    return np.asarray(coarse * np.float32(rng.choice([0.5, 0.7, 0.99])), dtype=np.float32)


_FROM_TRACK: Final[dict[str, Callable[[Audio, int, np.random.Generator], Audio]]] = {
    "low-passed-16k": lambda samples, rate_hz, rng: mastering.low_pass(samples, rate_hz, 16_000.0, rng),
    "low-passed-19k": lambda samples, rate_hz, rng: mastering.low_pass(samples, rate_hz, 19_000.0, rng),
    "resampled-and-back": _there_and_back,
    "resampled-from-48k": _from_48k,
    "upsampled-from-32k": _from_32k,
    "limited": _limited,
    "clipped": _clipped,
    "faded-dithered": _faded,
    "old-recording": _old_recording,
    "eight-bit": _eight_bit,
}
KINDS: Final = (*_FROM_TRACK, *synthetic.KINDS)
"""All kinds, as they stand after ``hard:`` in reports."""
# Dither would hide the very thing that these kinds are there for.
_NEVER_DITHERED = frozenset({"drum-machine", "eight-bit", "chiptune", "tick-grid"})


def deal(position: int, count: int, kinds: Sequence[str] = KINDS) -> tuple[str, ...]:
    """Choose kinds for the track at a position, so that over the tracks each comes equally often.

    Args:
        position: of the track in the trials' order, from 0.
        count: kinds wanted, no more than there are.
        kinds: to choose from.
    """
    # A step prime to their number mixes kinds made from tracks with synthetic ones.
    step = next(s for s in range(5, 5 + 2 * len(kinds)) if np.gcd(s, len(kinds)) == 1)
    return tuple(kinds[(position * count + i) * step % len(kinds)] for i in range(count))


def make(samples: Audio, rate_hz: int, kind: str, rng: np.random.Generator) -> tuple[NDArray[np.int16], int]:
    """Make one hard negative.

    Args:
        samples: shape (n, 2), the track; kinds made from nothing take only its length.
        rate_hz: its rate.
        kind: one of ``KINDS``.
        rng: the source of chance.

    Returns:
        16-bit samples, shape (m, 2), and their rate in Hz; m is n but for ``resampled-from-48k``.

    Raises:
        KeyError: no such kind.
    """
    if kind in _FROM_TRACK:
        out = _FROM_TRACK[kind](samples, rate_hz, rng)
    else:
        level_dbfs = float(rng.uniform(-18.0, -0.5))
        out = mastering.set_peak(synthetic.KINDS[kind](len(samples), rate_hz, rng), level_dbfs)
    dither = kind not in _NEVER_DITHERED and (kind == "faded-dithered" or happens(rng, 0.5))
    return mastering.to_int16(out, rng, dither=dither), 44_100 if kind == "resampled-from-48k" else rate_hz
