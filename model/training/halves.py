"""Validation sources serve two purposes, and no source serves both.

One half of the groups stops the training, the other fits calibration and thresholds.
"""

from collections.abc import Sequence

from model.training.bench import BenchTrack


def halves(benches: Sequence[BenchTrack]) -> tuple[list[BenchTrack], list[BenchTrack]]:
    """Split validation tracks by source group into (stopping, calibration).

    Groups alternate in the order of their names; a track mixed from both halves goes to
    neither.
    """
    groups = sorted({group for bench in benches for group in bench.track.groups})
    stopping = set(groups[::2])
    first = [b for b in benches if stopping.issuperset(b.track.groups)]
    second = [b for b in benches if stopping.isdisjoint(b.track.groups)]
    return first, second
