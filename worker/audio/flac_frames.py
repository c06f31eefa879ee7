"""Frame headers of a FLAC stream (RFC 9639, section 9.1), the last first.  Pure.

STREAMINFO can claim any number of samples; the last frame says where the stream really ends.
tensorflow-io waits for ever for samples that don't exist, so the claim is checked before it sees the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_DEPTHS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}
_MAX_PLAIN_CHANNEL_CODE = 7
STEREO_CODES = LEFT_SIDE, SIDE_RIGHT, MID_SIDE = 8, 9, 10
_BLOCK_SIZE_8_BIT, _BLOCK_SIZE_16_BIT = 6, 7
_RATES_HZ = dict(enumerate([88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000], 1))
_RATE_IN_KHZ = 12
_RATE_UNITS_HZ = {_RATE_IN_KHZ: 1000, 13: 1, 14: 10}
_FORBIDDEN_RATE_CODE = 15
_RESERVED_DEPTH_CODE = 3
_SYNC = b"\xff"
SYNCS = (b"\xff\xf8", b"\xff\xf9")  # of blocks of a fixed and of a variable size
LONGEST_HEADER = 16
_BYTE = 0xFF
_CONTINUATION = 0x80


@dataclass(frozen=True, slots=True)
class FrameEnd:
    """Where a frame of the stream ends."""

    sample: int  # first sample after the frame, per channel
    block_samples: int


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What one frame says of itself."""

    number: int  # of the frame, or of its first sample
    counts_samples: bool
    block_samples: int
    rate_hz: int | None  # None: as STREAMINFO says
    channel_code: int
    bit_depth: int | None  # None: as STREAMINFO says
    length: int  # bytes, its CRC included

    @property
    def channels(self) -> int:
        """Channels the frame decodes to."""
        return 2 if self.channel_code in STEREO_CODES else self.channel_code + 1

    def fits(self, channels: int, bit_depth: int) -> bool:
        """Whether this can be a frame of a stream whose STREAMINFO says so."""
        return self.channels == channels and self.bit_depth in (None, bit_depth)

    def starts(self, min_block_samples: int, max_block_samples: int) -> tuple[int, ...]:
        """First sample of the frame, per channel; the likeliest first where there are two readings.

        Streams of before 2007 have blocks of several sizes, number their samples, and don't say so.
        """
        if self.counts_samples:
            return (self.number,)
        if min_block_samples != max_block_samples:
            return (self.number, self.number * max_block_samples)
        return (self.number * min_block_samples,)


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


def longest_frame_bytes(block_samples: int, channels: int, bit_depth: int) -> int:
    """Bytes of the longest frame an encoder in its right mind writes: samples as they are, and headers."""
    return block_samples * channels * (bit_depth + 8) // 8 + 64


def frame_headers(data: bytes, end: int | None = None) -> Iterator[tuple[int, FrameHeader]]:
    """Yield position and content of what looks like a frame header in ``data``, the last first.

    Args:
        data: any bytes; one header in some thousands of random bytes with a sync code is none.
        end: look only before this position.
    """
    position = len(data) if end is None else end
    while (position := data.rfind(_SYNC, 0, position)) >= 0:
        header = parse_frame_header(data[position : position + LONGEST_HEADER])
        if header is not None:
            yield position, header


def frame_ends(
    tail: bytes, *, channels: int, bit_depth: int, block_samples: int, max_block_samples: int | None = None
) -> Iterator[FrameEnd]:
    """Yield the ends of the frames whose headers stand in ``tail``, the last first.

    Args:
        tail: the last bytes of the file; may begin inside a frame and end in a tag.
        channels: as STREAMINFO says; a header that disagrees is none.
        bit_depth: as STREAMINFO says.
        block_samples: STREAMINFO's smallest block, which is the block of streams that number frames.
        max_block_samples: STREAMINFO's largest block, where it is another one.
    """
    for _, header in frame_headers(tail):
        if header.fits(channels, bit_depth):
            for start in header.starts(block_samples, max_block_samples or block_samples):
                yield FrameEnd(start + header.block_samples, header.block_samples)


def parse_frame_header(header: bytes) -> FrameHeader | None:
    """Read a frame header; None where these bytes are none.

    Args:
        header: at least `LONGEST_HEADER` bytes where the data has as many.
    """
    try:
        if header[:2] not in SYNCS:
            return None
        size_code, rate_code = header[2] >> 4, header[2] & 15
        channel_code, depth_code, reserved = header[3] >> 4, header[3] >> 1 & 7, header[3] & 1
        number, offset = _coded_number(header, 4)
        block_samples = _BLOCK_SIZES.get(size_code)
        if size_code == _BLOCK_SIZE_8_BIT:
            block_samples, offset = header[offset] + 1, offset + 1
        elif size_code == _BLOCK_SIZE_16_BIT:
            block_samples, offset = (header[offset] << 8 | header[offset + 1]) + 1, offset + 2
        rate_hz, offset = _rate_hz(header, rate_code, offset)
        sound = header[offset] == crc8(header[:offset])
    except (IndexError, ValueError):
        return None
    known = channel_code <= _MAX_PLAIN_CHANNEL_CODE or channel_code in STEREO_CODES
    if not (sound and known) or reserved or block_samples is None or depth_code == _RESERVED_DEPTH_CODE:
        return None
    return FrameHeader(
        number=number,
        counts_samples=bool(header[1] & 1),
        block_samples=block_samples,
        rate_hz=rate_hz,
        channel_code=channel_code,
        bit_depth=_DEPTHS.get(depth_code),
        length=offset + 1,
    )


def _rate_hz(header: bytes, code: int, offset: int) -> tuple[int | None, int]:
    """Sampling rate, None where STREAMINFO has it, and the offset after it."""
    if code == _FORBIDDEN_RATE_CODE:
        raise ValueError("not a rate")
    if code not in _RATE_UNITS_HZ:
        return _RATES_HZ.get(code), offset
    length = 1 if code == _RATE_IN_KHZ else 2
    value = int.from_bytes(header[offset : offset + length], "big")
    return value * _RATE_UNITS_HZ[code], offset + length


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
