"""Sound from nothing: sparse notes, noise, synthesis, machines; each is lossless by construction.

Every function takes a length in samples, a rate in Hz and a source of chance, and returns shape (length, 2).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Audio = NDArray[np.float32]  # shape (n, 2)
Mono = NDArray[np.float64]  # shape (n,)
_TICKS_A_SECOND = 50  # of a tracker's player: 882 samples at 44.1 kHz
_CHIP_FRAMES_A_SECOND = 60  # of a console's sound driver


def _hertz(midi: float) -> float:
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


def _add(target: Audio, sound: Mono, at: int, pan: float) -> None:
    """Mix a mono sound in from sample ``at``; ``pan`` from 0 (left) to 1 (right)."""
    sound = sound[: len(target) - at]
    target[at : at + len(sound)] += (sound[:, None] * [np.sqrt(1.0 - pan), np.sqrt(pan)]).astype(np.float32)


def sparse_notes(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Single struck notes that die away, with digital silence between them."""
    out = np.zeros((length, 2), dtype=np.float32)
    at = int(rng.uniform(0.0, 0.5) * rate_hz)
    while at < length:
        seconds = np.arange(int(rate_hz * 2.5)) / rate_hz
        hertz, fall_s = _hertz(float(rng.integers(48, 85))), rng.uniform(0.3, 1.0)
        note = np.zeros(len(seconds))
        for partial in range(1, 13):
            pitch = hertz * partial * np.sqrt(1.0 + 4e-4 * partial**2)  # strings are a little stiff
            if pitch < 0.45 * rate_hz:
                ring = np.exp(-seconds * (0.5 + 0.5 * partial) / fall_s)
                note += partial**-1.5 * ring * np.sin(2 * np.pi * (pitch * seconds + rng.random()))
        note *= np.minimum(seconds / 0.003, 1.0) * np.clip((2.5 - seconds) / 0.2, 0.0, 1.0)
        _add(out, note * rng.uniform(0.3, 1.0), at, rng.uniform(0.3, 0.7))
        at += int(rng.uniform(0.6, 2.2) * rate_hz)
    return out


def white_noise(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Noise of equal power a hertz, its channels related by chance."""
    del rate_hz
    both, sides, share = rng.standard_normal((length, 1)), rng.standard_normal((length, 2)), rng.random()
    return np.asarray(share * both + (1.0 - share) * sides, dtype=np.float32)


def pink_noise(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Noise of equal power an octave."""
    spectrum = np.fft.rfft(white_noise(length, rate_hz, rng), axis=0)
    hertz = np.fft.rfftfreq(length, 1.0 / rate_hz)
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0))[:, None], length, axis=0), np.float32)


def saw_chords(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Chords of detuned sawtooth oscillators through a falling filter."""
    out = np.zeros((length, 2), dtype=np.float32)
    span = int(rate_hz * rng.uniform(0.4, 1.2))
    seconds = np.arange(span) / rate_hz
    for at in range(0, length, span):
        root = float(rng.integers(36, 60))
        for step in (0, 7, 12, int(rng.choice([15, 16]))):
            hertz = _hertz(root + step) * 2.0 ** (rng.uniform(-10.0, 10.0) / 1_200.0)
            saw = 2.0 * ((hertz * seconds + rng.random()) % 1.0) - 1.0
            pole = np.exp(-2 * np.pi * rng.uniform(1_500.0, 12_000.0) / rate_hz)
            voice = signal.lfilter([1.0 - pole], [1.0, -pole], saw) * np.exp(-seconds * rng.uniform(0.5, 4.0))
            _add(out, voice, at, rng.uniform(0.1, 0.9))
    return out


def fm_notes(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Two-operator frequency modulation: bells and electric pianos."""
    out = np.zeros((length, 2), dtype=np.float32)
    ratio, depth = float(rng.choice([1.0, 1.41, 2.0, 3.5, 7.0])), rng.uniform(1.0, 6.0)
    span = int(rate_hz * rng.uniform(0.15, 0.4))
    seconds = np.arange(rate_hz) / rate_hz
    for at in range(0, length, span):
        hertz, fall = _hertz(float(rng.integers(45, 80))), np.exp(-seconds * rng.uniform(2.0, 6.0))
        modulator = depth * fall * np.sin(2 * np.pi * hertz * ratio * seconds)
        note = fall * np.sin(2 * np.pi * hertz * seconds + modulator)
        _add(out, note * np.clip((1.0 - seconds) / 0.05, 0.0, 1.0), at, rng.uniform(0.2, 0.8))
    return out


def chiptune(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Two pulse waves with arpeggios and a noise channel, in 4-bit volumes that move 60 times a second."""
    frame = rate_hz // _CHIP_FRAMES_A_SECOND
    frames = -(-length // frame)
    mix = np.zeros(frames * frame)
    for _ in range(2):
        roots = np.repeat(rng.integers(48, 76, frames // 12 + 1), 12)[:frames]
        chord = np.tile(rng.choice([0, 3, 4, 7, 12], 3), frames // 3 + 1)[:frames]
        hertz = np.repeat(440.0 * 2.0 ** ((roots + chord - 69.0) / 12.0), frame)
        volume = np.tile(np.floor(np.linspace(15, 3, 12)), frames // 12 + 1)[:frames]
        phase = np.cumsum(hertz / rate_hz) % 1.0
        mix += np.where(phase < rng.choice([0.125, 0.25, 0.5]), 1.0, -1.0) * np.repeat(volume, frame) / 15.0
    held = int(rng.integers(2, 9))  # samples for which the noise register stands still
    bits = np.repeat(rng.choice([-1.0, 1.0], len(mix) // held + 1), held)[: len(mix)]
    beat = np.repeat(np.tile([12, 8, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0], frames // 12 + 1)[:frames], frame)
    return np.repeat((mix + bits * beat / 15.0)[:length, None], 2, axis=1).astype(np.float32)


def drum_machine(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Kick, snare and hat on sixteenths, with digital silence between the hits."""
    out = np.zeros((length, 2), dtype=np.float32)
    seconds = np.arange(int(0.18 * rate_hz)) / rate_hz
    end = np.clip((0.18 - seconds) / 0.01, 0.0, 1.0)
    sweep = np.cumsum(50.0 + 180.0 * np.exp(-seconds * 40.0)) / rate_hz
    noise = rng.standard_normal(len(seconds))
    kick = np.sin(2 * np.pi * sweep) * np.exp(-seconds * 18.0) * end
    snare = (0.6 * noise + np.sin(2 * np.pi * 190.0 * seconds)) * np.exp(-seconds * 25.0) * end
    hat = np.diff(noise, prepend=0.0) * np.exp(-seconds * 90.0) * np.clip((0.06 - seconds) / 0.01, 0.0, 1.0)
    sixteenth = int(rate_hz * 15.0 / rng.uniform(70.0, 120.0))
    kicks, hats = rng.choice([True, False], 16, p=[0.2, 0.8]), rng.choice([True, False], 16, p=[0.4, 0.6])
    kicks[0] = True
    hits = [(kick, kicks, 0.5), (snare, np.isin(np.arange(16), [4, 12]), 0.5), (hat, hats, 0.7)]
    for index, at in enumerate(range(0, length, sixteenth)):
        for sound, pattern, pan in hits:
            if pattern[index % 16]:
                _add(out, sound * 0.5, at, pan)
    return out


def tick_grid(length: int, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Four looped waveforms whose pitch and volume step on a player's ticks: a grid that is no codec's."""
    tick = rate_hz // _TICKS_A_SECOND
    ticks = -(-length // tick)
    out = np.zeros((ticks * tick, 2))
    for channel in range(4):
        wave = np.round(rng.uniform(-1.0, 1.0, 32) * 127.0) / 127.0
        row = np.repeat(rng.integers(36, 72, ticks // 6 + 1), 6)[:ticks]
        slide = rng.integers(-2, 3) * (np.arange(ticks) % 6) / 8.0
        hertz = np.repeat(440.0 * 2.0 ** ((row + slide - 69.0) / 12.0), tick)
        volume = np.repeat(np.repeat(rng.integers(0, 65, ticks // 6 + 1), 6)[:ticks] - 6 * (np.arange(ticks) % 6), tick)
        sound = wave[(np.cumsum(hertz / rate_hz) * 32.0).astype(int) % 32] * np.clip(volume, 0, 64) / 64.0
        out[:, channel % 2] += sound
        out[:, 1 - channel % 2] += 0.3 * sound
    return out[:length].astype(np.float32)


KINDS: Final[dict[str, Callable[[int, int, np.random.Generator], Audio]]] = {
    "sparse-notes": sparse_notes,
    "white-noise": white_noise,
    "pink-noise": pink_noise,
    "saw-chords": saw_chords,
    "fm-notes": fm_notes,
    "chiptune": chiptune,
    "drum-machine": drum_machine,
    "tick-grid": tick_grid,
}
"""Name -> function."""
