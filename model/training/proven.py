"""Rejected "true" recordings that are decodes by a proof of their own: they are counted apart, and named."""

from collections.abc import Sequence
from typing import Any

from model.grid.quantiser import lattice_of
from model.training.evaluate import Judged
from model.training.scoring import segments_of


def without_proven_decodes(judged: Sequence[Judged]) -> tuple[list[Judged], list[dict[str, Any]]]:
    """Take out what only a list calls a true recording.

    Args:
        judged: recordings that are held for true ones.

    Returns:
        All but those that were rejected and whose quantiser shows without any holes (``quantiser``), and a row on each
        rejected one that was looked at: item, grid, offset in samples, z, and whether that proves it.
    """
    kept: list[Judged] = []
    rows: list[dict[str, Any]] = []
    for j in judged:
        scored = j.scored
        lattice = None
        if j.decision.decision == "reject" and scored.search is not None:
            lattice = lattice_of(segments_of(scored.bench, scored.item), scored.search)
        if lattice is not None:
            name = f"{scored.bench.track.id} ({', '.join(scored.bench.track.groups)})"
            rows.append(
                {
                    "item": name,
                    "grid": lattice.grid,
                    "offset_samples": lattice.offset_samples,
                    "z": round(lattice.z, 1),
                    "proven": lattice.proves,
                }
            )
        if lattice is None or not lattice.proves:
            kept.append(j)
    return kept, rows
