"""The step ``truths``: untouched recordings of source groups that are used nowhere else, laid out as a bench.

False rejections are rare, so they need many true recordings.  These are cut, or joined end to end where files are
short, and nothing else: no mixing, no mastering.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.constants import ANALYSIS_RATES_HZ, SEGMENT_SAMPLES
from model.training.bench import INDEX, Item
from model.training.mixing import LOOP_S
from model.training.progress import Progress
from model.training.sources import Source, Split
from model.training.tracks import Track

SEGMENTS: Final = 4
"""Of a clip, as many as the tracks that are judged have."""
_LENGTH: Final = SEGMENTS * SEGMENT_SAMPLES  # samples of a clip
_FULL_SCALE: Final = 1 << 23  # of 24 bit
_RENDERED: Final = ("midi", "module")  # what `render` calls its source groups

Pcm = NDArray[np.int16] | NDArray[np.int32]


def read(source: Source, start: int, frames: int) -> Pcm:
    """Read stereo as ``BenchTrack.samples`` gives it: 16 bit, deeper files left-justified in 32; mono is doubled.

    Files of floats are rounded to 24 bit, as they would be delivered: read as integers, libsndfile would make 0 of all.
    """
    kind = soundfile.info(source.path).subtype
    of_floats = kind in {"FLOAT", "DOUBLE"}
    dtype = "float64" if of_floats else "int16" if kind == "PCM_16" else "int32"
    samples, _ = soundfile.read(source.path, start=start, frames=frames, dtype=dtype, always_2d=True)
    if of_floats:
        samples = np.clip(np.round(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int32) << 8
    return np.ascontiguousarray(samples[:, :2] if samples.shape[1] > 1 else np.repeat(samples, 2, axis=1))


def _cuts(sources: Sequence[Source], clips: int, rng: np.random.Generator) -> Iterator[tuple[Pcm, str]]:
    """Yield one clip of each of some files that are long enough."""
    for index in rng.permutation(len(sources))[:clips]:
        source = sources[int(index)]
        room = int(source.seconds * source.rate_hz) - _LENGTH
        kind = next((f"render-{name}" for name in _RENDERED if source.group.startswith(name)), "recording")
        yield read(source, int(rng.integers(room + 1)), _LENGTH), kind


def _joins(sources: Sequence[Source], clips: int, rng: np.random.Generator) -> Iterator[tuple[Pcm, str]]:
    """Yield clips of short files that follow each other, each file once."""
    parts: list[Pcm] = []
    seconds: list[float] = []
    for index in rng.permutation(len(sources)):
        if not clips:
            return
        parts.append(read(sources[int(index)], 0, _LENGTH))
        seconds.append(sources[int(index)].seconds)
        if sum(map(len, parts)) >= _LENGTH:
            deepest = np.result_type(*parts)
            shifted = [part.astype(deepest) << 8 * (deepest.itemsize - part.itemsize) for part in parts]
            yield np.concatenate(shifted)[:_LENGTH], "joined" if np.median(seconds) >= LOOP_S else "notes"
            parts, seconds, clips = [], [], clips - 1


def clips_of(sources: Sequence[Source], clips: int, rng: np.random.Generator) -> Iterator[tuple[Pcm, str]]:
    """Yield up to ``clips`` clips of one source group at one rate, shape (n, 2) each, and what kind it is."""
    long = [source for source in sources if int(source.seconds * source.rate_hz) >= _LENGTH]
    short = [source for source in sources if int(source.seconds * source.rate_hz) < _LENGTH]
    found = list(_cuts(long, clips, rng))
    yield from found
    yield from _joins(short, clips - len(found), rng)


def build_true_recordings(sources: Sequence[Source], out: Path, *, clips: int, seed: int, split: Split = "test") -> int:
    """Write the clips under ``out`` as ``load_bench(out, split)`` reads them; return how many there are.

    Args:
        sources: screened; those at other rates than the two of the analysis are left out.
        out: folder of the bench.
        clips: of each source group at most.
        seed: everything random follows from it.
        split: what the clips are for; their source groups are in no other.
    """
    groups: dict[tuple[str, int], list[Source]] = defaultdict(list)
    for source in sources:
        if source.rate_hz in ANALYSIS_RATES_HZ:
            groups[source.group, source.rate_hz].append(source)
    progress, count = Progress("true recordings", len(groups)), 0
    for (group, rate_hz), members in groups.items():
        rng = np.random.default_rng([seed, *f"{group}/{rate_hz}".encode()])
        for number, (pcm, kind) in enumerate(clips_of(members, clips, rng)):
            identifier = f"{split}-{group}-{rate_hz}-{number}"
            folder = out / split / identifier
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / "original.npy", pcm)
            track = Track(identifier, split, (f"truth-{group}",), kind, (), rate_hz, SEGMENTS, str(folder))
            item = Item("original.npy", "original", "original", 0.0, "", rate_hz)
            values = {"track": asdict(track), "items": [asdict(item)]}
            (folder / INDEX).write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
            count += 1
        progress.step()
    return count
