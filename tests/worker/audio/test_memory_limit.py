"""The memory limit of decoder children: a bomb costs its own delivery only."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.worker.audio.conftest import Write, make_settings
from worker.audio.decoder_pool import DecoderPool
from worker.constants import MIB
from worker.exceptions import UnusableAudioError
from worker.records import Reason

RATE_HZ, CHANNELS, SECONDS = 384_000, 8, 6


def test_a_bomb_ends_in_review_and_the_pool_goes_on(inbox: Path, write: Write) -> None:
    """Silence of a few kilobytes that unfolds to more than a child may take gets its review; the next file is read."""
    bomb = inbox / "bomb.flac"
    soundfile.write(bomb, np.zeros((RATE_HZ * SECONDS, CHANNELS), np.int16), RATE_HZ, format="FLAC", subtype="PCM_24")
    assert bomb.stat().st_size < MIB / 4
    good = write()
    with DecoderPool(make_settings(inbox, decoder_memory_bytes=64 * MIB)) as decoders:
        with pytest.raises(UnusableAudioError) as caught:
            decoders.read(str(bomb), None)
        assert caught.value.reason is Reason.DECODER_CRASHED
        assert caught.value.passing is None
        assert decoders.read(str(good), None).facts.total_samples == 400_000


def test_the_limit_holds() -> None:
    """A process may claim what it was given and no more, and is told so by an exception it can answer with."""
    script = """
import numpy as np
from worker.audio.memory_limit import limit_memory
limit_memory(64 << 20)
kept = np.ones(32 << 20, np.uint8)
try:
    np.ones(64 << 20, np.uint8)
except MemoryError:
    print("refused")
"""
    run = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert run.stdout.strip() == b"refused"
