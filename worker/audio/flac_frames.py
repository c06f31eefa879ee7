"""Finds the last frame header of a FLAC stream (RFC 9639, section 9.1).  Pure.

STREAMINFO can claim any number of samples; the last frame says where the stream really ends.
tensorflow-io waits for ever for samples that don't exist, so the claim is checked before it sees the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_DEPTHS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}
_MAX_PLAIN_CHANNEL_CODE = 7
_STEREO_CODES = (8, 9, 10)  # left-side, side-right, mid-side
_BLOCK_SIZE_8_BIT, _BLOCK_SIZE_16_BIT = 6, 7
_RATE_EXTRA_BYTES = {12: 1, 13: 2, 14: 2}
_FORBIDDEN_RATE_CODE = 15
_LONGEST_HEADER = 16
_BYTE = 0xFF
_CONTINUATION = 0x80


@dataclass(frozen=True, slots=True)
class FrameEnd:
    """Where a frame of the stream ends."""

    sample: int  # first sample after the frame, per channel
    block_samples: int


def _crc8_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1) ^ (0x07 if crc & 0x80 else 0)
        table.append(crc & _BYTE)
    return tuple(table)


_CRC8 = _crc8_table()


def crc8(data: bytes) -> int:
    """CRC-8 of a frame header (polynomial x⁸+x²+x+1)."""
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def frame_ends(tail: bytes, *, channels: int, bit_depth: int, block_samples: int) -> Iterator[FrameEnd]:
    """Yield the ends of the frames whose headers stand in ``tail``, the last first.

    Args:
        tail: the last bytes of the file; may begin inside a frame and end in a tag.
        channels: as STREAMINFO says; a header that disagrees is none.
        bit_depth: as STREAMINFO says.
        block_samples: STREAMINFO's block size, for streams that number frames instead of samples.
    """
    position = len(tail)
    while (position := tail.rfind(b"\xff", 0, position)) >= 0:
        header = tail[position : position + _LONGEST_HEADER]
        if len(header) > 1 and header[1] in (0xF8, 0xF9):
            end = _parse(header, channels, bit_depth, block_samples)
            if end is not None:
                yield end


def _parse(header: bytes, channels: int, bit_depth: int, stream_block_samples: int) -> FrameEnd | None:
    try:
        size_code, rate_code = header[2] >> 4, header[2] & 15
        channel_code, depth_code, reserved = header[3] >> 4, header[3] >> 1 & 7, header[3] & 1
        number, offset = _coded_number(header, 4)
        block_samples = _BLOCK_SIZES.get(size_code)
        if size_code == _BLOCK_SIZE_8_BIT:
            block_samples, offset = header[offset] + 1, offset + 1
        elif size_code == _BLOCK_SIZE_16_BIT:
            block_samples, offset = (header[offset] << 8 | header[offset + 1]) + 1, offset + 2
        offset += _RATE_EXTRA_BYTES.get(rate_code, 0)
        sound = header[offset] == crc8(header[:offset])
    except (IndexError, ValueError):
        return None
    found_channels = 2 if channel_code in _STEREO_CODES else channel_code + 1
    known = channel_code <= _MAX_PLAIN_CHANNEL_CODE or channel_code in _STEREO_CODES
    agrees = found_channels == channels and _DEPTHS.get(depth_code, bit_depth) == bit_depth
    if not (sound and known and agrees) or reserved or block_samples is None or rate_code == _FORBIDDEN_RATE_CODE:
        return None
    counts_samples = header[1] & 1
    start = number if counts_samples else number * stream_block_samples
    return FrameEnd(start + block_samples, block_samples)


def _coded_number(header: bytes, offset: int) -> tuple[int, int]:
    """Read the UTF-8-like coded number; returns it and the offset after it."""
    first = header[offset]
    ones = 8 - (~first & _BYTE).bit_length()
    if ones == 0:
        return first, offset + 1
    if ones in (1, 8):
        raise ValueError("not a coded number")
    number = first & (0x7F >> ones)
    for byte in header[offset + 1 : offset + ones]:
        if byte & 0xC0 != _CONTINUATION:
            raise ValueError("not a coded number")
        number = number << 6 | byte & 0x3F
    if offset + ones > len(header):
        raise ValueError("cut off")
    return number, offset + ones
