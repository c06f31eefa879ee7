"""Lossgate's own FLAC decoder: the samples of the reference encoder, sample for sample, or an error."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.cases import cases
from tests.mutations import mutated
from tests.worker.audio.conftest import noise
from tests.worker.audio.flac_writer import crc16 as crc16_by_shifts
from tests.worker.audio.flac_writer import write_flac
from worker.audio.container import parse_header
from worker.audio.flac_frames import LONGEST_HEADER, crc8, frame_headers, parse_frame_header
from worker.audio.flac_reader import FlacReader
from worker.audio.flac_subframes import FrameError, crc16, decode_frame

DEPTHS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}


def encoded(samples: NDArray[np.float64], subtype: str, level: float = 0.5) -> bytes:
    """Encode by libFLAC, which libsndfile carries."""
    out = io.BytesIO()
    soundfile.write(out, samples, 44_100, format="FLAC", subtype=subtype, compression_level=level)
    return out.getvalue()


def reader_of(flac: bytes, total: int) -> FlacReader:
    """Open it."""
    return FlacReader(io.BytesIO(flac), parse_header(flac, len(flac)), total)


def by_libsndfile(flac: bytes, subtype: str) -> NDArray[np.int64]:
    """Integers as they are stored."""
    samples = soundfile.read(io.BytesIO(flac), dtype="int32", always_2d=True)[0].astype(np.int64)
    return samples >> (32 - DEPTHS[subtype])


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("subtype", DEPTHS)
def test_equals_the_reference(subtype: str, channels: int, level: float) -> None:
    """Fixed and linear predictors, stereo decorrelation, silence and clipping: what the encoder makes is read."""
    time = np.arange(14_000)[:, None]
    tones = np.sin(time * (0.05 + 0.001 * np.arange(channels))) * np.linspace(0, 1.5, 14_000)[:, None]
    signal = np.clip(tones + 0.02 * noise(14_000, channels), -1, 1) * (time > 4_500)
    flac = encoded(signal, subtype, level)
    found = reader_of(flac, 14_000).read(0, 14_000)
    np.testing.assert_array_equal(by_libsndfile(flac, subtype), found)


@cases(20)
@given(st.data(), st.sampled_from(sorted(DEPTHS)), st.integers(1, 3), st.integers(0, 2**31))
def test_equals_the_reference_on_any_signal(data: st.DataObject, subtype: str, channels: int, seed: int) -> None:
    """Stretches of silence, steps, noise of any level and wasted bits, of any length."""
    chance = np.random.default_rng(seed)
    kinds = data.draw(st.lists(st.sampled_from(["zero", "noise", "quiet", "walk", "steps", "coarse"]), min_size=1))
    parts = []
    for kind in kinds[:6]:
        count = data.draw(st.integers(1, 6_000))
        white = chance.uniform(-1, 1, (count, channels))
        parts.append(
            {
                "zero": 0 * white,
                "noise": white,
                "quiet": white * 2**-6,
                "walk": np.sin(np.cumsum(white, 0) / 50),
                "steps": np.sign(white),
                "coarse": np.round(white * 8) / 8,
            }[kind]
        )
    flac = encoded(np.concatenate(parts), subtype, data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    expected = by_libsndfile(flac, subtype)
    np.testing.assert_array_equal(expected, reader_of(flac, len(expected)).read(0, len(expected)))


@pytest.mark.parametrize("depth", [4, 12, 15, 20, 32])
def test_depths_of_no_library(depth: int) -> None:
    """Extremes of every depth come back as they were."""
    limit = 1 << (depth - 1)
    samples = np.random.default_rng(depth).integers(-limit, limit, (5_000, 2))
    samples[:2] = [[-limit, limit - 1], [limit - 1, -limit]]
    flac = write_flac(samples, 48_000, depth, block=1_000)
    reader = reader_of(flac, 5_000)
    np.testing.assert_array_equal(samples, reader.read(0, 5_000))
    floats = reader.read_float(0, 2)
    assert floats.min() == -1.0
    assert floats.dtype == np.float32


@pytest.mark.parametrize(("start", "length"), [(0, 1), (4_095, 2), (299_999, 1), (150_000, 60_000), (0, 300_000)])
def test_any_stretch(start: int, length: int) -> None:
    """A stretch is found without a seek table, wherever it lies."""
    flac = encoded(noise(300_000, 2), "PCM_16")
    np.testing.assert_array_equal(
        by_libsndfile(flac, "PCM_16")[start : start + length], reader_of(flac, 300_000).read(start, length)
    )


def test_beyond_the_end() -> None:
    """Samples that aren't there are an error, not fewer samples."""
    with pytest.raises(FrameError):
        reader_of(encoded(noise(5_000, 1), "PCM_16"), 5_000).read(4_000, 1_001)


def test_a_missing_frame_is_noticed() -> None:
    """With a whole frame cut out every checksum is right, and yet the audio would be shifted."""
    flac = encoded(noise(40_000, 1), "PCM_16")
    places = {header.number: position for position, header in frame_headers(flac) if header.block_samples == 4096}
    torn = flac[: places[3]] + flac[places[4] :]
    with pytest.raises(FrameError, match="missing"):
        reader_of(torn, 40_000).read(0, 30_000)


@cases(60)
@given(mutated([encoded(noise(9_000, 2) * scale, "PCM_16") for scale in (1, 0.01)], hot=[60, 200]))
def test_damage_is_an_error_or_harmless(flac: bytes) -> None:
    """Whatever is damaged: the true samples or FrameError, never others."""
    originals = [by_libsndfile(encoded(noise(9_000, 2) * scale, "PCM_16"), "PCM_16") for scale in (1, 0.01)]
    info = parse_header(encoded(noise(9_000, 2), "PCM_16"), 100_000)
    try:
        found = FlacReader(io.BytesIO(flac), info, 9_000).read(0, 9_000)
    except FrameError:
        return
    assert any(np.array_equal(found, original) for original in originals)


def test_forged_predictors_do_not_grow() -> None:
    """A predictor that doubles its numbers at every sample ends at the first that is out of range."""
    header = bytes([0xFF, 0xF8, 0x70, 0x08, 0x00, 0xFF, 0xFF])
    frame = header + bytes([crc8(header)])
    bits = "0" + "100000" + "0"  # linear prediction of order 1
    bits += "0111111111111111"  # warm-up
    bits += "1110" + "00000" + "011111111111111"  # precision 15, no shift
    bits += "00" + "0000" + "0000" + "1" * 70_000  # residuals of zero
    frame += int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    parsed = parse_frame_header(frame[:LONGEST_HEADER])
    assert parsed is not None
    with pytest.raises(FrameError, match="range"):
        decode_frame(frame, parsed, 16)


@cases(200)
@given(st.binary(max_size=400), st.integers(0, 10), st.integers(4, 32), st.integers(1, 300))
def test_any_bytes_behind_a_header(body: bytes, channel_code: int, depth: int, block: int) -> None:
    """No bytes make the decoder fail in another way."""
    head = bytes([0xFF, 0xF8, 0x70, channel_code << 4, 0x00]) + (block - 1).to_bytes(2, "big")
    head += bytes([crc8(head)])
    parsed = parse_frame_header(head)
    assert parsed is not None
    with pytest.raises(FrameError):
        decode_frame(head + body, parsed, depth)


def test_metadata_without_an_end() -> None:
    """Blocks that point at each other for ever, or behind the end, lead to no audio."""
    flac = encoded(noise(5_000, 1), "PCM_16")
    endless = flac[:4] + bytes([flac[4] & 0x7F]) + flac[5:42] + b"\x01\x00\x00\x00" * 5_000
    for torn in (endless, flac[:41], flac[:42] + b"\x81\xff\xff\xff" + flac[46:]):
        with pytest.raises(FrameError, match="metadata"):
            FlacReader(io.BytesIO(torn), parse_header(flac, len(flac)), 5_000)


def test_checksum() -> None:
    """The table agrees with the polynomial: the catalogue's check value of CRC-16/UMTS."""
    assert crc16(b"123456789") == 0xFEE8 == crc16_by_shifts(b"123456789")


def test_streams_of_before_2007() -> None:
    """Blocks of several sizes whose headers number samples and don't say so."""
    header = bytes([0xFF, 0xF8, 0xC9, 0x18]) + "\u1000".encode()  # the number 4,096
    header += bytes([crc8(header)])
    parsed = parse_frame_header(header)
    assert parsed is not None
    assert parsed.starts(4096, 4096) == (4096 * 4096,)
    assert parsed.starts(1152, 4096) == (4096, 4096 * 4096)
