"""The last frame header says where a FLAC really ends."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.audio.conftest import noise
from tests.worker.audio.flac_writer import write_flac
from worker.audio.flac_frames import FrameEnd, crc8, frame_ends


def last_end(data: bytes, channels: int, depth: int, block: int = 4096) -> FrameEnd | None:
    """End of the last frame."""
    return next(frame_ends(data, channels=channels, bit_depth=depth, block_samples=block), None)


@pytest.mark.parametrize("samples", [4096, 4097, 10_000, 600_000])
@pytest.mark.parametrize(("subtype", "depth"), [("PCM_16", 16), ("PCM_24", 24), ("PCM_S8", 8)])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_finds_the_end(samples: int, subtype: str, depth: int, channels: int) -> None:
    """Noise, whose frames hold every byte value, and numbers of one to three bytes."""
    out = io.BytesIO()
    soundfile.write(out, noise(samples, channels), 44_100, format="FLAC", subtype=subtype)
    found = last_end(out.getvalue()[-150_000:], channels, depth)
    assert found is not None
    assert samples == found.sample


def test_silence() -> None:
    """Silence shrinks to a few bytes a frame; many headers stand in one tail."""
    out = io.BytesIO()
    soundfile.write(out, np.zeros((400_000, 2)), 44_100, format="FLAC", subtype="PCM_16")
    ends = list(frame_ends(out.getvalue(), channels=2, bit_depth=16, block_samples=4096))
    assert FrameEnd(400_000, 400_000 % 4096) == ends[0]
    assert len(ends) == 400_000 // 4096 + 1


def test_other_depths() -> None:
    """20-bit streams are understood although no decoder here reads them."""
    samples = np.random.default_rng(0).integers(-500_000, 500_000, (3000, 2))
    assert last_end(write_flac(samples, 48_000, 20, block=1000), 2, 20, 1000) == FrameEnd(3000, 1000)


def test_crc8_vector() -> None:
    """The catalogue's check value of CRC-8/SMBUS."""
    assert crc8(b"123456789") == 0xF4


@given(st.binary(max_size=300))
def test_any_tail_is_searched(tail: bytes) -> None:
    """No bytes make the search fail."""
    list(frame_ends(b"\xff\xf8" + tail, channels=2, bit_depth=16, block_samples=4096))
