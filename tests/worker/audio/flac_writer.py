"""Writes FLACs no common encoder writes any more: any bit depth, verbatim subframes, no compression."""

import numpy as np
from numpy.typing import NDArray

from worker.audio.flac_frames import crc8

_DEPTH_CODES = {8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}  # others: as STREAMINFO says


def _crc16_of(value: int) -> int:
    crc = value << 8
    for _ in range(8):
        crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


_TABLE = tuple(map(_crc16_of, range(256)))


def crc16(data: bytes) -> int:
    """CRC-16 of a FLAC frame (polynomial 0x8005)."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ byte]
    return crc


def write_flac(samples: NDArray[np.int64], rate_hz: int, depth: int, *, block: int = 65_535) -> bytes:
    """Encode without any compression.

    Args:
        samples: (n, channels) integers of `depth` bits.
        rate_hz: sampling rate.
        depth: bits a sample.
        block: samples a frame.
    """
    count, channels = samples.shape
    packed = rate_hz << 44 | channels - 1 << 41 | depth - 1 << 36 | count
    info = block.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    out = bytearray(b"fLaC\x80\x00\x00\x22" + info)
    for number, start in enumerate(range(0, count, block)):
        part = samples[start : start + block].astype(np.int64)
        header = bytes([0xFF, 0xF8, 7 << 4, (channels - 1) << 4 | _DEPTH_CODES.get(depth, 0) << 1, number])
        header += (len(part) - 1).to_bytes(2, "big")
        frame = header + bytes([crc8(header)])
        bits = (part[..., None] >> np.arange(depth - 1, -1, -1)) & 1  # (n, channels, depth)
        verbatim = np.array([0, 0, 0, 0, 0, 0, 1, 0])
        subframes = [np.concatenate([verbatim, bits[:, channel].ravel()]) for channel in range(channels)]
        frame += np.packbits(np.concatenate(subframes).astype(np.uint8)).tobytes()
        out += frame + crc16(frame).to_bytes(2, "big")
    return bytes(out)
