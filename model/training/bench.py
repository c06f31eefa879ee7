"""The second step, ``bench``: every track with its round trips and harmless variants.

One folder a track; ``index.json`` is written last, so an interrupted job picks up where it
was.  Samples are 16-bit ``.npy``, memory-mapped in training.
"""

import concurrent.futures
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.constants import FAMILIES, SEGMENT_SAMPLES, bitrate_class_index
from model.training import codecs, mastering
from model.training.chance import happens
from model.training.progress import Progress
from model.training.round_trip import RoundTripError, ffmpeg_binaries, round_trip
from model.training.sources import Split
from model.training.tracks import MARGIN_SAMPLES, Track

INDEX = "index.json"
INSERT = "insert"  # the condition of tracks with a lossy part, and of their twins without
OTHER = "other"  # the truth of a codec outside FAMILIES: lossy, and nobody is asked which
# A decode that lines up with its original would be a shortcut: each starts elsewhere.
LARGEST_SHIFT_SAMPLES = 4_000
ENCODINGS_A_TRACK: dict[Split, int] = {"train": 9, "validation": 14}
FROM_VARIANT_SHARE = 0.3  # of the training round trips start from a variant: lossy low-passed masters exist
REQUANTISED_SHARE = 0.1  # of the training round trips get a gain and dither afterwards
DELIVERED_48K_SHARE = 0.4  # of the Opus decodes stay at Opus' own rate


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of a track: the true one, a harmless variant, or a round trip."""

    file: str
    truth: str
    """``original``, ``variant``, a codec family, or ``OTHER``."""
    name: str
    """Kind of the variant or name of the encoding."""
    kbps: float
    encoder: str
    rate_hz: int
    program: str = ""
    condition: str = ""
    """Of the trials: what the item is there for, as ``processed:limited``; empty in the bench."""
    insert_start_s: float = 0.0
    """Seconds from the item's start to its lossy stretch, where only a stretch is lossy."""
    insert_seconds: float = 0.0
    """Length of that stretch; 0 where all of the item is what its truth says."""

    @property
    def is_lossy(self) -> bool:
        """Whether it, or a stretch of it, went through a codec."""
        return self.truth not in {"original", "variant"}

    @property
    def has_known_family(self) -> bool:
        """Whether it went through a codec of ``FAMILIES``, so that the family can be scored."""
        return self.truth in FAMILIES

    @property
    def bitrate_index(self) -> int:
        """Index of its bitrate class; meaningless for true recordings."""
        return bitrate_class_index(self.kbps)


@dataclass(frozen=True, slots=True)
class BenchTrack:
    """A track of the bench and where its items lie."""

    track: Track
    items: tuple[Item, ...]
    folder: Path

    @classmethod
    def load(cls, index: Path) -> Self:
        """Read one ``index.json``."""
        values = json.loads(index.read_text(encoding="utf-8"))
        track = Track.from_json(json.dumps(values["track"]))
        return cls(track, tuple(Item(**item) for item in values["items"]), index.parent)

    def samples(self, item: Item) -> NDArray[np.int16] | NDArray[np.int32]:
        """Return an item's samples, shape (segments * SEGMENT_SAMPLES, 2), memory-mapped.

        16 bit; of 24-bit items 32 bit, left-justified as tensorflow-io decodes them.
        """
        return np.asarray(np.load(self.folder / item.file, mmap_mode="r"))


def _keep(pcm: NDArray[np.int16], track: Track, rate_hz: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Cut an item to the stored length from a randomly shifted start."""
    length = track.segments * SEGMENT_SAMPLES
    usual = MARGIN_SAMPLES * rate_hz // track.rate_hz
    start = min(usual + int(rng.integers(-LARGEST_SHIFT_SAMPLES, LARGEST_SHIFT_SAMPLES)), len(pcm) - length)
    if start < 0:
        message = f"{track.id}: {len(pcm)} samples came back, {length} are needed"
        raise RoundTripError(message)
    return np.ascontiguousarray(pcm[start : start + length])


def _plan(split: Split, rng: np.random.Generator) -> Sequence[codecs.Encoding]:
    """Choose encodings: random draws for training and validation, the fixed tables for the test."""
    if split == "test":
        return [*codecs.table(), *codecs.forced_table(), *codecs.unseen_table()]
    return codecs.training_draws(ENCODINGS_A_TRACK[split], rng)


class _TrackBench:
    """Builds the folder of one track."""

    def __init__(self, track: Track, out: Path, seed: int) -> None:
        self.track = track
        self.folder = out / track.split / track.id
        self.rng = np.random.default_rng([seed, *track.id.encode()])
        self.items: list[Item] = []

    def _store(self, pcm: NDArray[np.int16], item: Item) -> None:
        np.save(self.folder / item.file, _keep(pcm, self.track, item.rate_hz, self.rng))
        self.items.append(item)

    def _true(self, pcm: NDArray[np.int16], truth: str, name: str) -> None:
        file = "original.npy" if truth == "original" else f"variant-{name}.npy"
        self._store(pcm, Item(file, truth, name, 0.0, "", self.track.rate_hz))

    def _encode(self, pcm: NDArray[np.int16], encoding: codecs.Encoding, *, vary: bool) -> None:
        rng, rate_hz = self.rng, self.track.rate_hz
        binaries = ffmpeg_binaries()
        binary = binaries[int(rng.integers(len(binaries)))]
        if encoding.encoder == "libshine":  # only distributions build it in
            binary = binaries[0]
        delivered_hz = rate_hz
        if encoding.family == "opus" and happens(rng, DELIVERED_48K_SHARE):
            delivered_hz = 48_000
        decoded = round_trip(pcm, rate_hz, encoding, binary=binary, delivered_hz=delivered_hz)
        if vary and happens(rng, REQUANTISED_SHARE):
            gain = np.float32(10.0 ** (rng.uniform(-6.0, 0.0) / 20.0))
            decoded = mastering.to_int16(decoded.astype(np.float32) / 32_768.0 * gain, rng, dither=True)
        which = "imageio" if "imageio" in binary else "path"
        self._store(
            decoded,
            Item(
                f"{encoding.name}.npy",
                encoding.family,
                encoding.name,
                encoding.kbps,
                encoding.encoder,
                delivered_hz,
                which,
            ),
        )

    def build(self) -> int:
        """Make whatever is missing; return how many encodings failed."""
        index = self.folder / INDEX
        if index.exists():
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        master, rate_hz = soundfile.read(self.track.path, dtype="float32", always_2d=True)
        rng, failed, training = self.rng, 0, self.track.split == "train"
        original = mastering.to_int16(master, rng, dither=happens(rng, 0.7))
        self._true(original, "original", "original")
        kinds = rng.permutation(mastering.VARIANTS)
        wanted = ["low-passed" if happens(rng, 0.5) else str(kinds[0]), str(kinds[1])] if training else list(kinds)
        variants: dict[str, NDArray[np.int16]] = {}
        for kind in dict.fromkeys(wanted):
            variants[str(kind)] = mastering.variant(master, rate_hz, rng, str(kind))[0]
            self._true(variants[str(kind)], "variant", str(kind))
        for encoding in _plan(self.track.split, rng):
            base = original
            if training and happens(rng, FROM_VARIANT_SHARE):
                base = variants[str(rng.choice(list(variants)))]
            try:
                self._encode(base, encoding, vary=training)
            except RoundTripError:
                failed += 1
        values = {"track": asdict(self.track), "items": [asdict(item) for item in self.items]}
        index.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
        return failed


def build_bench(tracks: Sequence[Track], out: Path, *, seed: int, jobs: int) -> int:
    """Build the bench in parallel; return how many encodings failed.

    The test split gets the evaluation's whole table, the others random draws; it comes last.
    """
    progress = Progress("bench", len(tracks))
    failures = 0
    # Training may begin while the test split is still being encoded.
    order: tuple[Split, ...] = ("validation", "train", "test")
    ordered = sorted(tracks, key=lambda track: order.index(track.split))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_TrackBench(track, out, seed).build) for track in ordered]
        for future in concurrent.futures.as_completed(futures):
            failures += future.result()
            progress.step(f"({failures} encodings failed)" if failures else "")
    return failures


def load_bench(folder: Path, split: str) -> tuple[BenchTrack, ...]:
    """Load every finished track of a split, in order."""
    return tuple(BenchTrack.load(index) for index in sorted((folder / split).glob(f"*/{INDEX}")))


def manifest_sha256(benches: Iterable[BenchTrack]) -> str:
    """Return one hash over what was learnt from: tracks, items and their settings."""
    digest = hashlib.sha256()
    for bench in benches:
        values = {**asdict(bench.track), "path": "", "items": [asdict(item) for item in bench.items]}
        digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()
