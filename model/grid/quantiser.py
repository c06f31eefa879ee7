"""Proof of a decode that owes nothing to holes: MP3 and AAC quantise to n^(4/3) times a step of each band.

The detector looks for coefficients that were quantised to zero.  Those that were *not* lie on a lattice as well, if the
frame offset is right, and nowhere else: a few samples beside it they lie anywhere.  Where the detector rejects what is
held for a true recording, this tells a mistake of the detector from one of the list.
"""

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.constants import LSB_PER_UNIT
from model.grid.evidence import OffsetEvidence
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch

Samples = NDArray[np.float32]  # shape (n, 2), in [-1, 1]
_MP3_BANDS: Final = (0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418, 576)
"""Lines at which scale factor bands begin, of 576 (ISO/IEC 11172-3, table B.8, 44.1 kHz)."""
_MP3_SHORT_BANDS: Final = (0, 4, 8, 12, 16, 22, 30, 40, 52, 66, 84, 106, 136, 192)
"""The same of a short block's 192."""
_AAC_BANDS: Final = (*range(0, 64, 16), *range(64, 320, 16), *range(320, 960, 32))
"""Lines, of 1,024: about those of ISO/IEC 14496-3 at 44.1 and 48 kHz; a band cut in two tells half as much."""
_AAC_SHORT_BANDS: Final = (0, 4, 8, 12, 16, 20, 28, 36, 44, 56, 68, 80, 96, 112, 128)
"""Lines of a short block's 128, at 44.1 and 48 kHz."""
BANDS: Final[dict[str, NDArray[np.float64]]] = {
    "mp3": np.array(_MP3_BANDS) / 576.0,
    "mp3_short": np.array(_MP3_SHORT_BANDS) / 192.0,
    "aac": np.array(_AAC_BANDS) / 1_024.0,
    "aac_sine": np.array(_AAC_BANDS) / 1_024.0,
    "aac_short": np.array(_AAC_SHORT_BANDS) / 128.0,
    "aac_short_sine": np.array(_AAC_SHORT_BANDS) / 128.0,
}
"""By grid, fractions of Nyquist."""
PROVEN: Final = 10.0
"""Standard deviations; untouched recordings stay below 4 at any offset."""
_QUANTISED: Final = np.arange(1.0, 15.0, 0.1)
"""What a band's largest coefficient may have been quantised to; the step follows."""
_SMALLEST_STEP: Final = 2.0  # 16-bit steps; below, rounding fills the lattice
_ZERO: Final = 0.5  # of a step; what lies below was quantised to zero and is left to the detector
_FEWEST: Final = 5  # coefficients that must not be zero
_FRAMES: Final = 50
_SHORT_FRAMES: Final = 400  # short blocks have few coefficients each
_BESIDE: Final = (-101, -37, -7, 7, 37, 101)  # samples


@dataclass(frozen=True, slots=True)
class Lattice:
    """How well one offset's coefficients lie on lattices, against the offsets beside it."""

    grid: str
    offset_samples: int
    """From the start of the track."""
    z: float
    """Standard deviations."""

    @property
    def proves(self) -> bool:
        """Whether this is a decode, whatever its list says."""
        return bool(self.z >= PROVEN)


def band_scores(band: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how near a band's non-zero coefficients come to the best lattice, frame by frame.

    Args:
        band: coefficients in 16-bit steps, shape (frames, k).

    Returns:
        Shape (frames,): root of their number times the mean of cos(2 pi q), with q what they were quantised to: up to
        root of k on a lattice, some 1.5 anywhere else; NaN where too few stand out of the rounding.
    """
    size = np.abs(band)
    largest = np.maximum(size.max(axis=1, keepdims=True), 1e-9)
    quantised = _QUANTISED[None, :, None] * (size / largest)[:, None, :] ** 0.75
    told = quantised >= _ZERO
    number = told.sum(axis=2)
    scores = np.where(told, np.cos(2.0 * np.pi * quantised), 0.0).sum(axis=2) / np.sqrt(np.maximum(number, 1))
    usable = (number >= _FEWEST) & (largest / _QUANTISED ** (4.0 / 3.0) >= _SMALLEST_STEP)
    best: NDArray[np.float64] = np.where(usable, scores, -np.inf).max(axis=1)
    return np.where(np.isfinite(best), best, np.nan)


def _scores(
    samples: Samples, layer: OffsetEvidence, bands: NDArray[np.float64], first: int, most: int
) -> NDArray[np.float64]:
    """Return the scores of left, right, mid and side, frame by frame from sample ``first``: (4, frames * bands)."""
    hop = layer.offsets * layer.stride
    count = (len(samples) - first - layer.window) // hop
    starts = first + hop * np.unique(np.linspace(0, count - 1, most).astype(int))
    frames = np.stack([samples[start : start + layer.window].T for start in starts], axis=1) * np.float32(LSB_PER_UNIT)
    pair = np.asarray(layer.frame_coefficients(ops.convert_to_tensor(frames)), dtype=np.float64)
    positions = layer.positions()
    inside = [(positions >= low) & (positions < high) for low, high in itertools.pairwise(bands)]
    return np.array(
        [
            np.concatenate([band_scores(lines[:, lying]) for lying in inside if lying.any()])
            for lines in layer.channels_of(pair)
        ]
    )


def look_for_lattice(samples: Samples, grid: str, offset: int, frames: int = _FRAMES) -> float:
    """Return how far the lattice at a frame offset stands out from those beside it, standard deviations.

    Args:
        samples: of a segment, shape (n, 2), some hundred frames long.
        grid: one of ``BANDS``.
        offset: of the frames from the segment's start, samples.
        frames: that are read at most, spread over the segment.

    Returns:
        Of left, right, mid and side the clearest; 0 where nothing stands out of the rounding.
    """
    layer = evidence_layers(0.0)[grid]
    hop, reach = layer.offsets * layer.stride, max(_BESIDE)
    first = reach + (offset - reach) % hop
    there = _scores(samples, layer, BANDS[grid], first, frames)
    beside = [_scores(samples, layer, BANDS[grid], first + shift, frames) for shift in _BESIDE]
    z = 0.0
    for channel, scores in enumerate(there):
        others = [found for row in beside if (found := row[channel][np.isfinite(row[channel])]).size]
        mine = scores[np.isfinite(scores)]
        if mine.size and others:
            spread = float(np.std(np.concatenate(others))) / np.sqrt(mine.size)
            z = max(z, (float(mine.mean()) - float(np.mean([other.mean() for other in others]))) / max(spread, 1e-9))
    return float(z)


def lattice_of(segments: NDArray[np.float32], search: TrackSearch) -> Lattice | None:
    """Look for the lattice where the search saw a grid; None where it saw one of another codec.

    Args:
        segments: of the track, shape (count, n, 2).
        search: what the detector found.
    """
    grid = GRIDS[search.best_grid]
    if grid not in BANDS:
        return None
    clearest = int(np.argmax(search.segment_z))
    offset = search.offset_in(search.starts[clearest])
    samples = segments[search.segments[clearest]][:SEGMENT_SAMPLES]
    frames = _SHORT_FRAMES if "_short" in grid else _FRAMES
    return Lattice(grid, search.offset_in(0), look_for_lattice(samples, grid, offset, frames))
