"""From loops, one-shots and performances to something that sounds like a track.

A codec's traces depend on the music, so a bench of single drum hits would teach little.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from model.training.chance import happens
from model.training.sources import Source

Audio = NDArray[np.float32]  # shape (n, 2)
LONGEST_READ_S = 40.0
LOOP_S = 1.5  # from here on a sound can be repeated as a loop
UNTUNED_SEMITONES = 0.05  # smaller shifts are not worth resampling
SILENCE = 1e-6
PERFORMANCE_S = 5.0  # files this long are music of their own


@functools.lru_cache(maxsize=256)
def _read(path: Path, start: int, frames: int, rate_hz: int) -> Audio:
    """Read a stretch as stereo at ``rate_hz``; the cache serves loops that come back."""
    samples, native = soundfile.read(path, start=start, frames=frames, dtype="float32", always_2d=True)
    stereo = samples[:, :2] if samples.shape[1] > 1 else np.repeat(samples, 2, axis=1)
    if native != rate_hz:
        stereo = soxr.resample(stereo, native, rate_hz, quality="HQ")
    return np.ascontiguousarray(stereo, dtype=np.float32)


def _clip(source: Source, rate_hz: int, seconds: float, rng: np.random.Generator) -> Audio:
    """Read up to ``seconds`` from a random place; the peak is set to one."""
    room = max(0.0, source.seconds - seconds)
    start = int(rng.uniform(0.0, room) * source.rate_hz)
    audio = _read(source.path, start, int(min(seconds, LONGEST_READ_S) * source.rate_hz), rate_hz)
    peak = float(np.abs(audio).max(initial=0.0))
    return audio / np.float32(peak) if peak > SILENCE else audio


def _pan(audio: Audio, rng: np.random.Generator) -> Audio:
    """Move in the stereo field by a random amount."""
    position = rng.uniform(-0.7, 0.7)
    gains = np.array([np.sqrt(0.5 - position / 2), np.sqrt(0.5 + position / 2)], dtype=np.float32)
    return audio * gains


def _add(target: Audio, audio: Audio, at: int) -> None:
    """Mix ``audio`` into ``target`` from sample ``at``, cut at the end."""
    length = min(len(audio), len(target) - at)
    if length > 0:
        target[at : at + length] += audio[:length]


def _pitched(audio: Audio, semitones: float) -> Audio:
    """Vary the speed like a sampler does."""
    if abs(semitones) < UNTUNED_SEMITONES:
        return audio
    return np.asarray(soxr.resample(audio, 44_100.0 * 2.0 ** (semitones / 12.0), 44_100.0, quality="HQ"))


def _sequence(source: Source, rate_hz: int, length: int, beat: int, rng: np.random.Generator, density: float) -> Audio:
    """Play one sound on a grid of sixteenths, at a few pitches."""
    layer = np.zeros((length, 2), dtype=np.float32)
    hit = _clip(source, rate_hz, 4.0, rng)
    pitches = [_pitched(hit, s) for s in rng.choice([-7, -5, -3, 0, 0, 0, 2, 4, 7], size=3)]
    pattern = rng.random(16) < density
    if not pattern.any():
        pattern[0] = True
    sixteenth = beat // 4
    for index, at in enumerate(range(0, length, sixteenth)):
        if pattern[index % 16]:
            choice = pitches[int(rng.integers(len(pitches)))]
            _add(layer, choice * np.float32(rng.uniform(0.4, 1.0)), at)
    return layer


def _tiled(source: Source, rate_hz: int, length: int, rng: np.random.Generator) -> Audio:
    """Repeat a loop; a short crossfade keeps the seam quiet."""
    audio = _clip(source, rate_hz, length / rate_hz, rng).copy()
    fade = min(256, len(audio) // 4)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)[:, None]
    audio[:fade] *= ramp
    audio[len(audio) - fade :] *= ramp[::-1]
    layer = np.zeros((length, 2), dtype=np.float32)
    for at in range(0, length, max(len(audio) - fade, 1)):
        _add(layer, audio, at)
    return layer


def compose(sources: Sequence[Source], rate_hz: int, length: int, rng: np.random.Generator) -> tuple[Audio, str]:
    """Make one track from the sources of one or a few groups of the same split.

    Args:
        sources: non-empty.
        rate_hz: of the track.
        length: samples.
        rng: the source of chance.

    Returns:
        Shape (length, 2), not yet mastered, and the kind: ``performance``, ``sparse`` or
        ``mix``.
    """
    long_ones = [s for s in sources if s.seconds >= PERFORMANCE_S]
    if long_ones and happens(rng, 0.6):
        source = long_ones[int(rng.integers(len(long_ones)))]
        return _tiled(source, rate_hz, length, rng), "performance"
    beat = int(rate_hz * 60.0 / rng.uniform(70.0, 170.0))
    sparse = happens(rng, 0.12)
    mix = np.zeros((length, 2), dtype=np.float32)
    for _ in range(1 if sparse else int(rng.integers(2, 7))):
        source = sources[int(rng.integers(len(sources)))]
        if source.seconds > LOOP_S and not sparse and happens(rng, 0.7):
            layer = _tiled(source, rate_hz, length, rng)
        else:
            density = rng.uniform(0.03, 0.12) if sparse else rng.uniform(0.1, 0.6)
            layer = _sequence(source, rate_hz, length, beat, rng, float(density))
        mix += _pan(layer, rng) * np.float32(10.0 ** (rng.uniform(-14.0, 0.0) / 20.0))
    return mix, "sparse" if sparse else "mix"
