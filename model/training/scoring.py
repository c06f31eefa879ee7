"""Run the network over items of the bench."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from model.bandwidth import measure_bandwidth_hz, segment_levels_dbfs
from model.constants import SEGMENT_SAMPLES
from model.grid.track_search import TrackSearch
from model.training.bench import BenchTrack, Item
from model.training.progress import Progress

BATCH = 16

Searches = Mapping[str, Mapping[str, TrackSearch]]
"""Frame-grid searches by track and item file."""


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """Everything the policy needs of one item, before calibration."""

    bench: BenchTrack
    item: Item
    lossy_logits: NDArray[np.float64]
    family_logits: NDArray[np.float64]
    bitrate_logits: NDArray[np.float64]
    levels_dbfs: NDArray[np.float64]
    bandwidth_hz: float
    search: TrackSearch | None = None
    """From the frame-grid search."""


def segments_of(bench: BenchTrack, item: Item, limit: int | None = None) -> NDArray[np.float32]:
    """Return an item's segments, shape (n, SEGMENT_SAMPLES, 2), float32 in [-1, 1]."""
    pcm = bench.samples(item)
    count = min(len(pcm) // SEGMENT_SAMPLES, limit or len(pcm))
    cut = pcm[: count * SEGMENT_SAMPLES].reshape(count, SEGMENT_SAMPLES, 2)
    full_scale = -float(np.iinfo(pcm.dtype).min)  # 24-bit items are stored left-justified in 32
    return np.asarray(cut.astype(np.float32) / np.float32(full_scale))


def network_outputs(network: keras.Model, segments: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Return the three outputs for any number of segments."""
    parts = [network.predict_on_batch(segments[i : i + BATCH]) for i in range(0, len(segments), BATCH)]
    return {key: np.concatenate([np.asarray(part[key], dtype=np.float64) for part in parts]) for key in parts[0]}


def score(
    network: keras.Model,
    pairs: Sequence[tuple[BenchTrack, Item]],
    *,
    segments: int | None = None,
    label: str = "",
    searches: Searches | None = None,
) -> list[ScoredItem]:
    """Score items.

    Args:
        network: the spectrogram part.
        pairs: what to score.
        segments: how many segments of each item are looked at; all by default.
        label: of the progress line; silent without it.
        searches: frame-grid searches by track and item file.
    """
    progress = Progress(label or "score", len(pairs), every_s=30.0 if label else 1e9)
    scored: list[ScoredItem] = []
    for bench, item in pairs:
        audio = segments_of(bench, item, segments)
        outputs = network_outputs(network, audio)
        scored.append(
            ScoredItem(
                bench,
                item,
                outputs["lossy_logit"],
                outputs["family_logits"],
                outputs["bitrate_logits"],
                segment_levels_dbfs(audio),
                measure_bandwidth_hz(audio, item.rate_hz) if label else 0.0,
                None if searches is None else searches[bench.track.id][item.file],
            )
        )
        if label:
            progress.step()
    return scored


def auc(negatives: Iterable[float], positives: Iterable[float]) -> float:
    """Area under the ROC curve, ties counted half; NaN where a side is empty."""
    low, high = np.sort(np.fromiter(negatives, float)), np.fromiter(positives, float)
    if not len(low) or not len(high):
        return float("nan")
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.sum() / (2.0 * len(low) * len(high)))
