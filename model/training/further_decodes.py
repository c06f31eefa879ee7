"""The step ``decodes``: the encodings that are hardest to find, of recordings that no bench has.

The bench is made of mixes and whole arrangements.  A solo instrument at a high bitrate leaves far fewer traces, and a
catalogue is full of them: these decodes are of clips as ``truths`` cuts them, single instruments among them.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np

from model.constants import SEGMENT_SAMPLES
from model.training import codecs
from model.training.bench import DELIVERED_48K_SHARE, INDEX, BenchTrack, Item
from model.training.chance import happens
from model.training.progress import Progress
from model.training.round_trip import RoundTripError, round_trip
from model.training.true_recordings import SEGMENTS
from model.training.unchanged import sixteen_bit

ENCODINGS: Final = (
    "aac-aac-256",
    "aac-aac-320",
    "ac3-ac3-448",
    "mp2-mp2-256",
    "mp3-libmp3lame-320",
    "mp3-libmp3lame-320-cutnone",
    "mp3-libmp3lame-V0",
    "opus-libopus-256",
    "vorbis-libvorbis-q10",
    "wma-wmav2-192",
)
"""Names of ``codecs``: those that the targets name."""
_SEGMENTS: Final = SEGMENTS - 1  # kept of each decode, so that the start can be moved
_EARLIEST: Final = 3_000  # samples that are cut off at least: encoders begin with silence


def chosen(clips: Sequence[BenchTrack], number: int, rng: np.random.Generator) -> list[BenchTrack]:
    """Return clips by lot, of as many source groups as there are, one of each."""
    groups: dict[tuple[str, ...], list[BenchTrack]] = defaultdict(list)
    for clip in clips:
        groups[clip.track.groups].append(clip)
    members = list(groups.values())
    lot = [members[index] for index in rng.permutation(len(members))[:number]]
    return [group[int(rng.integers(len(group)))] for group in lot]


def _build_one(clip: BenchTrack, folder: Path, rng: np.random.Generator) -> int:
    """Encode a clip and write what comes back; return how many encodings failed."""
    folder.mkdir(parents=True, exist_ok=True)
    pcm, length = sixteen_bit(clip.samples(clip.items[0])), _SEGMENTS * SEGMENT_SAMPLES
    wanted = [encoding for encoding in (*codecs.table(), *codecs.forced_table()) if encoding.name in ENCODINGS]
    items: list[Item] = []
    for encoding in wanted:
        at_48k = encoding.family == "opus" and happens(rng, DELIVERED_48K_SHARE)
        delivered_hz = 48_000 if at_48k else clip.track.rate_hz
        try:
            decoded = round_trip(pcm, clip.track.rate_hz, encoding, delivered_hz=delivered_hz)
        except RoundTripError:
            continue
        room = len(decoded) - length
        start = int(rng.integers(_EARLIEST, room + 1)) if room >= _EARLIEST else max(0, room)
        file = f"{encoding.name}.npy"
        np.save(folder / file, decoded[start : start + length])
        items.append(Item(file, encoding.family, encoding.name, encoding.kbps, encoding.encoder, delivered_hz))
    values = {"track": asdict(replace(clip.track, segments=_SEGMENTS)), "items": [asdict(item) for item in items]}
    (folder / INDEX).write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    return len(wanted) - len(items)


def build_decodes(clips: Sequence[BenchTrack], out: Path, *, number: int, seed: int) -> tuple[int, int]:
    """Encode clips and lay their decodes out under ``out`` as ``load_bench`` reads them; resumable.

    Args:
        clips: true recordings, as ``truths`` leaves them.
        out: folder of the bench.
        number: of clips, by lot.
        seed: everything random follows from it.

    Returns:
        How many clips there are, and how many encodings failed.
    """
    taken = chosen(clips, number, np.random.default_rng(seed))
    progress, failed = Progress("decodes", len(taken)), 0
    for clip in taken:
        folder = out / clip.track.split / clip.track.id
        if not (folder / INDEX).exists():
            failed += _build_one(clip, folder, np.random.default_rng([seed, *clip.track.id.encode()]))
        progress.step()
    return len(taken), failed
