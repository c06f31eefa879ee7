"""The first step, ``corpus``: screened sources to mastered tracks, dealt by source group."""

import concurrent.futures
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.constants import ANALYSIS_RATES_HZ, SEGMENT_SAMPLES
from model.training import mastering, mixing
from model.training.chance import happens
from model.training.progress import Progress
from model.training.sources import Screening, Source, Split

# Segments a track: few where variety counts, more where the pool is measured.
SEGMENTS_A_TRACK: dict[Split, int] = {"train": 3, "validation": 4, "test": 4}
MARGIN_SAMPLES = 16_384  # room for encoder delays and random shifts
CROSS_GROUP_SHARE = 0.3  # of the tracks are mixed from two groups of the same split
SHARE_48K = 0.25
MANIFEST = "tracks.jsonl"


@dataclass(frozen=True, slots=True)
class Track:
    """One mastered, true recording."""

    id: str
    split: Split
    groups: tuple[str, ...]
    kind: str
    tags: tuple[str, ...]
    rate_hz: int
    segments: int
    path: str

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read one line of the manifest."""
        values = json.loads(line)
        return cls(**{**values, "groups": tuple(values["groups"]), "tags": tuple(values["tags"])})


def read_tracks(folder: Path) -> tuple[Track, ...]:
    """Read the manifest that ``make_tracks`` wrote."""
    lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    return tuple(Track.from_json(line) for line in lines)


def _weights(groups: dict[str, list[Source]]) -> NDArray[np.float64]:
    """Draw rich groups more often, but by the square root: variety before depth."""
    seconds = np.array([min(sum(s.seconds for s in files), 600.0) for files in groups.values()])
    root = np.sqrt(seconds)
    return np.asarray(root / root.sum())


def _make(index: int, split: Split, groups: dict[str, list[Source]], out: Path, seed: int) -> Track:
    """Compose, master and write one track; everything follows from seed, split and index."""
    rng = np.random.default_rng([seed, sum(split.encode()), index])
    names = list(groups)
    count = 2 if len(names) > 1 and happens(rng, CROSS_GROUP_SHARE) else 1
    picked = rng.choice(len(names), size=count, replace=False, p=_weights(groups))
    chosen = tuple(names[i] for i in picked)
    sources = [source for name in chosen for source in groups[name]]
    # Material keeps its native rate where it can; some is mastered at 48 kHz.
    native = sources[int(rng.integers(len(sources)))].rate_hz
    rate_hz = native if native in ANALYSIS_RATES_HZ else ANALYSIS_RATES_HZ[0]
    if happens(rng, SHARE_48K):
        rate_hz = ANALYSIS_RATES_HZ[1]
    length = SEGMENTS_A_TRACK[split] * SEGMENT_SAMPLES + 2 * MARGIN_SAMPLES
    audio, kind = mixing.compose(sources, rate_hz, length, rng)
    audio, tags = mastering.master(audio, rate_hz, rng)
    identifier = f"{split}-{index:04d}"
    path = out / split / f"{identifier}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        soundfile.write(path, audio, rate_hz, subtype="PCM_24")
    return Track(identifier, split, chosen, kind, tags, rate_hz, SEGMENTS_A_TRACK[split], str(path))


def make_tracks(
    screening: Screening,
    splits: dict[str, Split],
    counts: dict[Split, int],
    out: Path,
    *,
    seed: int,
    jobs: int,
) -> tuple[Track, ...]:
    """Mix and master tracks from screened sources.

    Args:
        screening: what ``sources.collect`` found.
        splits: source group -> split.
        counts: tracks a split.
        out: folder of the FLACs and of the manifest ``tracks.jsonl``.
        seed: everything follows from it.
        jobs: threads.
    """
    by_split: dict[Split, dict[str, list[Source]]] = defaultdict(lambda: defaultdict(list))
    for source in screening.sources:
        by_split[splits[source.group]][source.group].append(source)
    wanted: list[tuple[int, Split]] = [
        (index, split) for split, count in counts.items() if by_split.get(split) for index in range(count)
    ]
    progress = Progress("tracks", len(wanted))
    tracks: list[Track] = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_make, i, split, by_split[split], out, seed) for i, split in wanted]
        for future in concurrent.futures.as_completed(futures):
            tracks.append(future.result())
            progress.step()
    tracks.sort(key=lambda track: track.id)
    write_manifest(out, tracks)
    return tuple(tracks)


def write_manifest(out: Path, tracks: Sequence[Track]) -> None:
    """Write the manifest, one JSON object a line."""
    text = "".join(json.dumps(asdict(track), ensure_ascii=False) + "\n" for track in tracks)
    (out / MANIFEST).write_text(text, encoding="utf-8")
