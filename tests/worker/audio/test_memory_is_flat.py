"""Resident memory over a long backlog: flat after the first objects, in the children and in the worker."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.worker.audio.conftest import make_settings
from worker.audio.decoder_pool import DecoderPool
from worker.constants import MIB

RATE_HZ = 44_100
LANES = 4
CHILD_GROWTH = 32 * MIB  # measured over 120 objects of 28 to 56 MiB: none after the first twenty
WORKER_GROWTH = 2 * LANES * 12 * MIB  # what lies between decoder and detector comes and goes


def _resident_bytes(pid: int | str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("objects", "repeats"), [(40, (1, 2)), pytest.param(300, (9, 12, 15, 18), marks=pytest.mark.nightly)]
)
def test_memory_is_flat(tmp_path: Path, objects: int, repeats: tuple[int, ...]) -> None:
    """Many objects (in `make nightly` 300 of 28 to 56 MiB) through two children leave nothing behind."""
    noise = np.clip(np.random.default_rng(0).normal(0, 0.2, (20 * RATE_HZ, 2)), -1, 1)
    for repeat in repeats:
        soundfile.write(tmp_path / f"{repeat}.flac", np.tile(noise, (repeat, 1)), RATE_HZ, subtype="PCM_16")
    paths = [str(tmp_path / f"{repeats[number % len(repeats)]}.flac") for number in range(objects)]
    settings = make_settings(f"{tmp_path}/", decoder_processes=2, windows_per_track=12, whole_object_bytes=64 * MIB)
    with DecoderPool(settings) as decoders, ThreadPoolExecutor(LANES) as lanes:
        decoders.warm_up()

        def read(path: str) -> int:
            return decoders.read(path, None).facts.size_bytes

        def resident() -> tuple[int, int]:
            return _resident_bytes("self"), max(_resident_bytes(child.pid) for child in decoders._children)

        warm = objects // 4
        assert all(lanes.map(read, paths[:warm]))
        worker_before, child_before = resident()
        assert all(lanes.map(read, paths[warm:]))
        worker_after, child_after = resident()
    assert child_after - child_before < CHILD_GROWTH
    assert worker_after - worker_before < WORKER_GROWTH
