"""Finding a lossy insert in a lossless track: every segment is searched, and its own score has to say so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artefact import Artefact
from model.bandwidth import segment_levels_dbfs
from model.constants import SEGMENT_SAMPLES
from model.grid.search import by_promise
from model.grid.track_search import search_track
from model.pooling import pool
from model.training.bench import INSERT, BenchTrack, Item
from model.training.progress import Progress
from model.training.scoring import network_outputs, segments_of
from model.training.statistics import wilson

SUSPICIOUS = 0.5
"""Probability from which a segment counts as pointed at."""
_LEAST_OVERLAP = 0.5  # of a segment; less of an insert in it is no segment's fault


def segment_probabilities(artefact: Artefact, segments: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
    """Return the probability of each segment of a track at ``rate_hz``, all of them searched: shape (n,)."""
    outputs = network_outputs(artefact.spectrogram, segments)

    def run(index: int) -> NDArray[np.float64]:
        cut = {"samples": segments[index : index + 1], "rate_hz": np.array([rate_hz], np.int32)}
        return np.asarray(artefact.search.predict_on_batch(cut)["grid_scores"], dtype=np.float64)[0]

    def follow(index: int, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        cut = {
            "followed": np.repeat(segments[index : index + 1], len(offsets), axis=0),
            "offsets": offsets,
            "rate_hz": np.full(len(offsets), rate_hz, np.int32),
        }
        return np.asarray(artefact.follower.predict_on_batch(cut)["frames"], dtype=np.float64)

    starts = [index * SEGMENT_SAMPLES for index in range(len(segments))]
    score = pool(
        outputs["lossy_logit"],
        outputs["family_logits"],
        outputs["bitrate_logits"],
        artefact.calibration,
        segment_levels_dbfs(segments),
        search_track(run, follow, by_promise(segments), starts, rate_hz, None),
    )
    return np.array(score.segment_probabilities)


def overlapping(item: Item, count: int) -> list[int]:
    """Return the segments that hold enough of the insert to be blamed."""
    seconds = SEGMENT_SAMPLES / item.rate_hz
    shares = [
        min(item.insert_start_s + item.insert_seconds, (index + 1) * seconds)
        - max(item.insert_start_s, index * seconds)
        for index in range(count)
    ]
    return [index for index, share in enumerate(shares) if share >= _LEAST_OVERLAP * seconds]


def localise(artefact: Artefact, benches: Sequence[BenchTrack], tracks: int) -> dict[str, Any]:
    """Measure the hit rate on inserts and the false pointers on the same tracks without one.

    Args:
        artefact: the detector.
        benches: trials; items of the condition ``insert`` count, true ones are the twins.
        tracks: how many tracks with inserts at most.
    """
    pairs = [(b, i) for b in benches for i in b.items if i.condition == INSERT]
    names = list(dict.fromkeys(b.track.id for b, _ in pairs))[:tracks]
    pairs = [(b, i) for b, i in pairs if b.track.id in names]
    progress = Progress("localise", len(pairs), every_s=30.0)
    hits = inserts = twins = twins_accused = clean_segments = clean_accused = 0
    for bench, item in pairs:
        probabilities = segment_probabilities(artefact, segments_of(bench, item), item.rate_hz)
        inside = overlapping(item, len(probabilities)) if item.is_lossy else []
        outside = np.delete(probabilities, inside) if item.is_lossy else probabilities
        if item.is_lossy:
            inserts += 1
            hits += bool((probabilities[inside] >= SUSPICIOUS).any())
        else:
            twins += 1
            twins_accused += bool((probabilities >= SUSPICIOUS).any())
            clean_segments += len(outside)
            clean_accused += int((outside >= SUSPICIOUS).sum())
        progress.step()
    low, high = wilson(hits, inserts)
    return {
        "inserts": inserts,
        "found": hits,
        "low": low,
        "high": high,
        "twins": twins,
        "twins_accused": twins_accused,
        "clean_segments": clean_segments,
        "clean_segments_accused": clean_accused,
    }
