"""Finding lossless audio and screening it before anything is learnt from it.

One sub-folder of ``--audio`` is one source group: an instrument pack, an artist, a song
on a soundfont.  Groups, never files or segments, are dealt to the splits.
"""

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SUFFIXES = frozenset({".flac", ".wav", ".aif", ".aiff"})
LOSSLESS_SUBTYPES = frozenset({"PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"})
MINIMUM_RATE_HZ = 44_100  # lower rates have no treble to lose
MINIMUM_SECONDS = 0.08
SILENT_PEAK = 1e-3  # of full scale
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
CLIFF_BAND_HZ = (14_500.0, 20_600.0)  # where encoders cut
CLIFF_DB = 40.0  # a drop this steep is an encoder's or a very deliberate filter's


@dataclass(frozen=True, slots=True)
class Source:
    """One screened file."""

    path: Path
    group: str
    seconds: float
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Screening:
    """What was found under the audio folders."""

    sources: tuple[Source, ...]
    refused: Mapping[str, int]
    """Reason -> number of files."""


def steepest_cliff_db(samples: NDArray[np.float32], rate_hz: int) -> float:
    """Return the steepest fall of the mean spectrum within 400 Hz, in dB.

    Args:
        samples: shape (n, channels).
        rate_hz: their rate.  Only ``CLIFF_BAND_HZ`` is searched.
    """
    size = 2_048
    mono = samples.mean(axis=1)
    if len(mono) < 4 * size:
        return 0.0
    frames = mono[: len(mono) // size * size].reshape(-1, size) * np.hanning(size)
    level = 10.0 * np.log10(np.mean(np.abs(np.fft.rfft(frames)) ** 2, axis=0) + 1e-9)
    bin_hz = rate_hz / size
    gap, width = round(400.0 / bin_hz), round(600.0 / bin_hz)
    smooth = np.convolve(level, np.full(width, 1.0 / width), mode="same")
    low, high = (round(edge / bin_hz) for edge in CLIFF_BAND_HZ)
    return float(np.max(smooth[low - width : high - width] - smooth[low + gap : high + gap]))


def _refusal(path: Path, *, keep_cliffs: bool) -> str | None:  # noqa: PLR0911 - one line a reason reads best
    """Return why a file cannot be learnt from, or None."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return "unreadable"
    if info.subtype not in LOSSLESS_SUBTYPES:
        return f"not lossless ({info.subtype})"
    if info.samplerate < MINIMUM_RATE_HZ:
        return "sampling rate below 44.1 kHz"
    if info.duration < MINIMUM_SECONDS:
        return "too short"
    samples, rate_hz = soundfile.read(path, frames=30 * info.samplerate, dtype="float32", always_2d=True)
    if not np.isfinite(samples).all() or float(np.abs(samples).max(initial=0.0)) < SILENT_PEAK:
        return "silent or not finite"
    if not keep_cliffs and steepest_cliff_db(samples, rate_hz) > CLIFF_DB:
        return "a cliff like an encoder's"
    return None


def collect(folders: Iterable[Path], *, keep_cliffs: bool = False) -> Screening:
    """Find and screen every file under ``folders``.

    Args:
        folders: each holds one sub-folder a source group.
        keep_cliffs: for material vetted otherwise: genuine masters have cliffs too.
    """
    sources: list[Source] = []
    refused: dict[str, int] = {}
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            relative = path.relative_to(folder)
            if relative.parent == Path():
                refused["not in a source folder"] = refused.get("not in a source folder", 0) + 1
                continue
            if (reason := _refusal(path, keep_cliffs=keep_cliffs)) is not None:
                refused[reason] = refused.get(reason, 0) + 1
                continue
            info = soundfile.info(path)
            sources.append(Source(path, relative.parts[0], info.duration, info.samplerate))
    return Screening(tuple(sources), refused)


def deal(groups: Iterable[str], rules: Sequence[tuple[str, Split]] = ()) -> dict[str, Split]:
    """Deal source groups to the splits.

    Args:
        groups: names of the groups.
        rules: (pattern, split), first match wins; groups that match none are dealt 70/15/15
            by a hash of their name, so that new groups never move old ones.
    """
    dealt: dict[str, Split] = {}
    for group in sorted(set(groups)):
        for pattern, split in rules:
            if fnmatch.fnmatchcase(group, pattern):
                dealt[group] = split
                break
        else:
            share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
            dealt[group] = (
                "train" if share < TRAIN_SHARE else "validation" if share < TRAIN_SHARE + VALIDATION_SHARE else "test"
            )
    return dealt


def read_rules(path: Path) -> tuple[tuple[str, Split], ...]:
    """Read the rules of ``deal`` from JSON: ``{"test": ["pattern", …], …}``.

    Raises:
        ValueError: a key is no split.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    if odd := set(values) - set(SPLITS):
        message = f"{path}: {sorted(odd)} are no splits; known are {SPLITS}"
        raise ValueError(message)
    return tuple((pattern, split) for split in SPLITS for pattern in values.get(split, ()))
