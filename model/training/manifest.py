"""Which recordings a figure was measured on, by checksum of their samples: to be kept beside the report."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from model.training.bench import load_bench

SETS: Final = ("bench", "trials")
_COLUMNS = ("track", "file", "condition", "truth", "setting", "rate_hz", "sha256")


def _rows(work: Path, split: str, sets: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the columns of every item that an index names and whose samples are there."""
    for name in sets:
        for bench in load_bench(work / name, split):
            for item in bench.items:
                file = bench.folder / item.file
                if not file.exists():
                    continue
                digest = hashlib.sha256(np.ascontiguousarray(np.load(file, mmap_mode="r")).data).hexdigest()
                where = file.relative_to(work).as_posix()
                yield bench.track.id, where, item.condition, item.truth, item.name, str(item.rate_hz), digest


def write_manifest(work: Path, split: str, out: Path, *, sets: Sequence[str] = SETS) -> int:
    """Write one line an item, sorted, tab-separated; return how many.

    Args:
        work: folder with ``bench`` and ``trials``.
        split: of both.
        out: the file.
        sets: folders under ``work``.
    """
    rows = sorted(_rows(work, split, sets))
    lines = ["\t".join(row) for row in (_COLUMNS, *rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(rows)


def check_manifest(work: Path, split: str, manifest: Path) -> list[str]:
    """Compare what lies under ``work`` with a manifest; return one line a difference.

    Items that the manifest does not name are no difference: a set may grow.
    """
    found = {row[1]: row for row in _rows(work, split, SETS)}
    differences = []
    for line in manifest.read_text(encoding="utf-8").splitlines()[1:]:
        row = tuple(line.split("\t"))
        if row[1] not in found:
            differences.append(f"missing: {row[1]}")
        elif found[row[1]] != row:
            columns = [name for name, a, b in zip(_COLUMNS, found[row[1]], row, strict=True) if a != b]
            differences.append(f"differs: {row[1]} ({', '.join(columns)})")
    return differences
