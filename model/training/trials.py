"""The step ``trials``: beside the bench, a fixed set of what a hostile reviewer would ask for.

Decodes after processing, encoders that training never saw, true recordings that fool detectors, and lossless tracks
with a few lossy seconds.  Laid out as the bench is, so that ``load_bench(work / "trials", split)`` reads it; one
folder a track, ``index.json`` last, so that an interrupted job picks up where it was.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.training import codecs, hard_negatives, inserts, mastering, other_encoders, processing
from model.training.bench import INDEX, LARGEST_SHIFT_SAMPLES, BenchTrack, Item, load_bench
from model.training.chance import fair_order, happens
from model.training.manifest import write_manifest
from model.training.progress import Progress
from model.training.round_trip import RoundTripError, ffmpeg_binaries, round_trip
from model.training.tracks import MARGIN_SAMPLES

FOLDER: Final = "trials"
SPLITS: Final = ("validation", "test")
MODULES: Final = Path("encoders/node_modules")  # under the work folder: npm install --prefix WORK/encoders …
_PROCESSED = tuple(
    codecs.encoding(*names)
    for names in (("mp3", "320"), ("aac", "256"), ("vorbis", "q6"), ("opus", "160"), ("mp3", "V0"), ("ac3", "320"))
)
_INSERTED = _PROCESSED[:4]
_PROCESSED_A_TRACK = {"validation": 1, "test": 3}
_HARD_A_TRACK = {"validation": 3, "test": 6}
_JOINED_TRACKS = 3  # of 12 s each make a track that is long enough to hide 5 s in

Pcm = NDArray[np.int16] | NDArray[np.int32]


def stored(samples: NDArray[np.float32], *, deep: bool) -> Pcm:
    """Return float samples as a file holds them: 16 bit, or 24 bit left-justified in 32."""
    if deep:
        steps = np.clip(np.round(samples.astype(np.float64) * 2.0**23), -(2**23), 2**23 - 1)
        return (steps.astype(np.int64) << 8).astype(np.int32)
    return np.clip(np.round(samples.astype(np.float64) * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)


class _TrackTrials:
    """Builds the folder of one track."""

    def __init__(self, bench: BenchTrack, position: int, partners: Sequence[BenchTrack], work: Path, seed: int) -> None:
        self.track, self.position, self.partners, self.seed = bench.track, position, partners, seed
        self.folder = work / FOLDER / bench.track.split / bench.track.id
        self.modules = work / MODULES
        self.items: list[Item] = []
        self.failed: list[str] = []

    def _rng(self, what: str) -> np.random.Generator:
        """Return an item's own source of chance: one encoder that is missing moves nothing else."""
        return np.random.default_rng([self.seed, *f"{self.track.id}/{what}".encode()])

    def _store(self, pcm: Pcm, item: Item, segments: int) -> None:
        """Cut an item from a random start, so that it is never aligned to the original, and write it."""
        length = min(segments, len(pcm) // SEGMENT_SAMPLES) * SEGMENT_SAMPLES
        shift = int(self._rng(f"{item.file} start").integers(-LARGEST_SHIFT_SAMPLES, LARGEST_SHIFT_SAMPLES))
        start = min(MARGIN_SAMPLES + shift, len(pcm) - length)
        if length == 0:
            raise RoundTripError(f"{item.name}: {len(pcm)} samples came back")
        if item.insert_seconds:
            values = {**asdict(item), "insert_start_s": round(item.insert_start_s - start / item.rate_hz, 6)}
            item = Item(**values)
        np.save(self.folder / item.file, np.ascontiguousarray(pcm[start : start + length]))
        self.items.append(item)

    def _true(self, pcm: Pcm, name: str, condition: str, rate_hz: int, *, segments: int | None = None) -> None:
        truth = "original" if name == "original" else "variant"
        item = Item(f"{name}.npy", truth, name, 0.0, "", rate_hz, condition=condition)
        self._store(pcm, item, segments or self.track.segments)

    def _lossy(self, pcm: Pcm, row: codecs.Encoding, suffix: str, condition: str, rate_hz: int) -> None:
        name = row.name + suffix
        item = Item(f"{name}.npy", row.family, name, row.kbps, row.encoder, rate_hz, "path", condition)
        self._store(pcm, item, self.track.segments)

    def _processed(self, original: NDArray[np.int16]) -> None:
        rate_hz, split = self.track.rate_hz, self.track.split
        order = self._rng("processed").permutation(len(_PROCESSED))[: _PROCESSED_A_TRACK[split]]
        self._chains(original, None)
        for index in order:
            row = _PROCESSED[int(index)]
            self._chains(round_trip(original, rate_hz, row, binary=ffmpeg_binaries()[0]), row)

    def _chains(self, pcm: NDArray[np.int16], row: codecs.Encoding | None) -> None:
        """Send a decode (or the original, where ``row`` is None) through every chain."""
        samples = pcm.astype(np.float32) / np.float32(32_768.0)
        for chain in processing.CHAINS:
            rng = self._rng(f"{row.name if row else 'original'}+{chain}")
            out, out_hz = processing.process(samples, self.track.rate_hz, chain, rng)
            held, condition = stored(out, deep=chain == "24-bit"), f"processed:{chain}"
            if row is None:
                self._true(held, f"original+{chain}", condition, out_hz)
            else:
                self._lossy(held, row, f"+{chain}", condition, out_hz)

    def _held_out(self, original: NDArray[np.int16], missing: dict[str, str]) -> None:
        for row in other_encoders.draw(self._rng("held-out")):
            if row.encoder in missing:
                continue
            condition = "held-out" if row.encoder in other_encoders.HELD_OUT_ENCODERS else "other-build"
            try:
                decoded = other_encoders.other_round_trip(original, self.track.rate_hz, row, self.modules)
                self._lossy(decoded, row, "", condition, self.track.rate_hz)
            except RoundTripError as error:
                self.failed.append(f"{self.track.id} {row.name}: {error}")

    def _hard(self, master: NDArray[np.float32]) -> None:
        for kind in hard_negatives.deal(self.position, _HARD_A_TRACK[self.track.split]):
            pcm, rate_hz = hard_negatives.make(master, self.track.rate_hz, kind, self._rng(kind))
            self._true(pcm, kind, f"hard:{kind}", rate_hz)

    def _insert(self, master: NDArray[np.float32]) -> None:
        """A long track with 5 lossy seconds, and its twin without."""
        rng, rate_hz = self._rng("insert"), self.track.rate_hz
        others = [soundfile.read(one.track.path, dtype="float32", always_2d=True)[0] for one in self.partners]
        joined = inserts.join([master, *others], rate_hz)
        whole = mastering.to_int16(joined, rng, dither=True)
        segments = (len(whole) - MARGIN_SAMPLES - LARGEST_SHIFT_SAMPLES) // SEGMENT_SAMPLES
        row = _INSERTED[int(rng.integers(len(_INSERTED)))]
        room = 2 * inserts.CONTEXT_S + MARGIN_SAMPLES / rate_hz
        start_s = float(rng.uniform(room, (segments * SEGMENT_SAMPLES) / rate_hz - inserts.STRETCH_S - 1.0))
        start = int(start_s * rate_hz)
        decoded = round_trip(inserts.stretch(whole, start, rate_hz), rate_hz, row, binary=ffmpeg_binaries()[0])
        mixed = inserts.insert(whole, decoded, start, rate_hz)
        self._true(whole, "insert-twin", "insert", rate_hz, segments=segments)
        name = f"insert-{row.name}"
        item = Item(f"{name}.npy", row.family, name, row.kbps, row.encoder, rate_hz, "path", "insert")
        values = {**asdict(item), "insert_start_s": start / rate_hz, "insert_seconds": inserts.STRETCH_S}
        self._store(mixed, Item(**values), segments)

    def build(self, missing: dict[str, str]) -> list[str]:
        """Make whatever is missing; return what failed."""
        index = self.folder / INDEX
        if index.exists():
            return []
        self.folder.mkdir(parents=True, exist_ok=True)
        master, _ = soundfile.read(self.track.path, dtype="float32", always_2d=True)
        rng = self._rng("original")
        original = mastering.to_int16(master, rng, dither=happens(rng, 0.7))
        self._true(original, "original", "original", self.track.rate_hz)
        self._processed(original)
        self._hard(master)
        if self.track.split == "test":
            self._held_out(original, missing)
            if len(self.partners) + 1 == _JOINED_TRACKS:
                self._insert(master)
        values = {"track": asdict(self.track), "items": [asdict(item) for item in self.items]}
        index.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
        return self.failed


def _partners(bench: BenchTrack, benches: Sequence[BenchTrack]) -> list[BenchTrack]:
    """Choose tracks of the same rate to play after this one, those that share a source group first."""
    same_rate = [one for one in benches if one is not bench and one.track.rate_hz == bench.track.rate_hz]
    own = set(bench.track.groups)
    return sorted(same_rate, key=lambda one: (not own & set(one.track.groups), one.track.id))[: _JOINED_TRACKS - 1]


def _waiting(work: Path, tracks: int | None, seed: int) -> Iterator[_TrackTrials]:
    """Yield the tracks in turns of the two splits, so that both grow."""
    splits = [load_bench(work / "bench", split) for split in SPLITS]
    orders = [fair_order(benches)[:tracks] for benches in splits]
    for position in range(max(len(order) for order in orders)):
        for benches, order in zip(splits, orders, strict=True):
            if position < len(order):
                yield _TrackTrials(order[position], position, _partners(order[position], benches), work, seed)


def build_trials(work: Path, *, tracks: int | None, seed: int) -> list[str]:
    """Build the trials of the first tracks of each split and write their manifests; return what failed.

    Args:
        work: folder with ``bench``; ``trials`` is written beside it.
        tracks: how many of each split, in the order of the searches; all by default.
        seed: everything random follows from it.
    """
    missing = other_encoders.missing(work / MODULES)
    for encoder, needed in missing.items():
        sys.stderr.write(f"left out: {encoder}, which needs {needed}\n")
    waiting = list(_waiting(work, tracks, seed))
    progress, failed = Progress("trials", len(waiting)), []
    for one in waiting:
        failed += one.build(missing)
        progress.step(f"({len(failed)} encodings failed)" if failed else "")
    for split in SPLITS:
        write_manifest(work, split, work / FOLDER / f"manifest-{split}.tsv", sets=(FOLDER,))
    return failed
