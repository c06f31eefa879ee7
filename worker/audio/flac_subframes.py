"""Decodes one FLAC frame of any bit depth (RFC 9639, section 9.2).  Pure.

For the depths that neither tensorflow-io nor libsndfile reads: all but 8, 16 and 24.
NumPy does what can be done for all samples at once; finding the ends of the Rice codes and undoing linear
prediction go sample by sample, at about a microsecond each.
"""

from dataclasses import dataclass
from operator import mul

import numpy as np
from numpy.typing import NDArray

from worker.audio.flac_frames import LEFT_SIDE, MID_SIDE, SIDE_RIGHT, FrameHeader

Samples = NDArray[np.int64]

_CONSTANT, _VERBATIM, _FIRST_FIXED, _LAST_FIXED, _FIRST_LPC = 0, 1, 8, 12, 32
_PARAMETER_BITS = {0: 4, 1: 5}  # by the residual's coding method
_INVALID_PRECISION = 16
_CRC_BYTES = 2
_BYTE_BITS = 8


class FrameError(ValueError):
    """The frame is damaged, or none."""


def _crc16_of(value: int) -> int:
    crc = value << 8
    for _ in range(8):
        crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


_CRC16 = tuple(map(_crc16_of, range(256)))


def crc16(data: bytes) -> int:
    """CRC-16 of a frame (polynomial x¹⁶+x¹⁵+x²+1); 0 for a frame with its CRC."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc


def decode_frame(data: bytes, header: FrameHeader, bit_depth: int) -> tuple[Samples, int]:
    """Decode the frame at the start of ``data``.

    Args:
        data: the frame, and what follows.
        header: of the frame.
        bit_depth: bits a sample.

    Returns:
        Samples of shape (n, channels) and the frame's length in bytes.

    Raises:
        FrameError: it is damaged.
    """
    bits = _Bits(data, header.length * _BYTE_BITS)
    try:
        channels = [
            _subframe(bits, header.block_samples, bit_depth + _is_side(header.channel_code, channel))
            for channel in range(header.channels)
        ]
    except IndexError:
        raise FrameError("it ends too soon") from None
    length = -(-bits.position // _BYTE_BITS) + _CRC_BYTES
    if length > len(data) or crc16(data[:length]):
        raise FrameError("its checksum is wrong")
    return np.stack(_decorrelated(channels, header.channel_code), axis=1), length


def _is_side(channel_code: int, channel: int) -> bool:
    """Whether this channel is a difference, which takes one bit more."""
    return (channel_code, channel) in {(LEFT_SIDE, 1), (SIDE_RIGHT, 0), (MID_SIDE, 1)}


def _decorrelated(channels: list[Samples], code: int) -> list[Samples]:
    first, second = channels[0], channels[-1]
    if code == LEFT_SIDE:
        return [first, first - second]
    if code == SIDE_RIGHT:
        return [first + second, second]
    if code == MID_SIDE:
        middle = first << 1 | second & 1
        return [(middle + second) >> 1, (middle - second) >> 1]
    return channels


class _Bits:
    """A reader of bits; IndexError at their end."""

    def __init__(self, data: bytes, position: int) -> None:
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self.position = position
        ones = np.flatnonzero(self.bits).astype(np.int32)
        # Index of the next 1 from each bit on; the first index behind the data where there is none.
        following = np.full(len(self.bits), len(self.bits), np.int32)
        if len(ones):
            gaps = np.diff(ones, prepend=-1)
            following[: ones[-1] + 1] = np.repeat(ones, gaps)
        self.next_one = following.data  # whose items are Python's own integers, which is what the loops want

    def unsigned(self, width: int) -> int:
        """One number."""
        chosen = self.bits[self.position : self.position + width]
        if len(chosen) < width:
            raise IndexError
        self.position += width
        return int.from_bytes(np.packbits(chosen).tobytes(), "big") >> -width % _BYTE_BITS

    def signed(self, width: int) -> int:
        """One number in two's complement."""
        value = self.unsigned(width)
        return value - (1 << width) if width and value >> (width - 1) else value

    def many_signed(self, count: int, width: int) -> Samples:
        """Numbers of the same width."""
        if width == 0:
            return np.zeros(count, np.int64)
        chosen = self.bits[self.position : self.position + count * width]
        if len(chosen) < count * width:
            raise IndexError
        self.position += count * width
        weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
        weights[0] = -weights[0]
        return chosen.reshape(count, width) @ weights

    def unary(self) -> int:
        """Zeros before the next one."""
        end = self.next_one[self.position]
        value = end - self.position
        self.position = end + 1
        return value


@dataclass(slots=True)
class _Partition:
    """Rice codes of one parameter: where each one begins and where its unary part ends."""

    parameter: int
    begins: list[int]
    ends: list[int]


def _subframe(bits: _Bits, count: int, depth: int) -> Samples:
    head = bits.unsigned(_BYTE_BITS)
    kind, has_wasted = head >> 1 & 0x3F, head & 1
    wasted = bits.unary() + 1 if has_wasted else 0
    if head >> 7 or wasted >= depth:
        raise FrameError("a subframe makes no sense")
    depth -= wasted
    if kind == _CONSTANT:
        samples = np.full(count, bits.signed(depth), np.int64)
    elif kind == _VERBATIM:
        samples = bits.many_signed(count, depth)
    elif _FIRST_FIXED <= kind <= _LAST_FIXED:
        samples = _fixed(bits, count, depth, kind - _FIRST_FIXED)
    elif kind >= _FIRST_LPC:
        samples = _linear(bits, count, depth, kind - _FIRST_LPC + 1)
    else:
        raise FrameError("a subframe is of a reserved kind")
    limit = 1 << (depth - 1)
    if samples.min() < -limit or samples.max() >= limit:
        raise FrameError("a sample is out of its range")
    return samples << wasted


def _fixed(bits: _Bits, count: int, depth: int, order: int) -> Samples:
    """Undo fixed prediction: the residual is the difference of some order, so it is added up as often."""
    warm_up = bits.many_signed(order, depth)
    level = _residual(bits, count, order)
    for differences in range(order - 1, -1, -1):
        level = np.cumsum(level) + np.diff(warm_up, differences)[-1]
    return np.concatenate([warm_up, level])


def _linear(bits: _Bits, count: int, depth: int, order: int) -> Samples:
    warm_up = bits.many_signed(order, depth).tolist()
    precision = bits.unsigned(4) + 1
    shift = bits.signed(5)
    if precision == _INVALID_PRECISION or shift < 0:
        raise FrameError("a predictor makes no sense")
    coefficients = bits.many_signed(order, precision).tolist()[::-1]
    residual = _residual(bits, count, order).tolist()
    limit = 1 << (depth - 1)
    samples = warm_up
    for index, remainder in enumerate(residual):
        value = remainder + (sum(map(mul, coefficients, samples[index:])) >> shift)
        if not -limit <= value < limit:  # also keeps forged predictors from growing without an end
            raise FrameError("a sample is out of its range")
        samples.append(value)
    return np.array(samples, np.int64)


def _residual(bits: _Bits, count: int, order: int) -> Samples:
    method, partition_order = bits.unsigned(2), bits.unsigned(4)
    parameter_bits = _PARAMETER_BITS.get(method)
    partition_samples = count >> partition_order
    if parameter_bits is None or partition_samples << partition_order != count or partition_samples < order:
        raise FrameError("a residual makes no sense")
    escape = (1 << parameter_bits) - 1
    parts: list[Samples | _Partition] = []
    for index in range(1 << partition_order):
        size = partition_samples - (0 if index else order)
        parameter = bits.unsigned(parameter_bits)
        if parameter == escape:
            parts.append(bits.many_signed(size, bits.unsigned(5)))
        else:
            parts.append(_rice(bits, size, parameter))
    return np.concatenate([_values(bits, part) if isinstance(part, _Partition) else part for part in parts])


def _rice(bits: _Bits, count: int, parameter: int) -> _Partition:
    """Find the codes; their values are taken from the bits in one go."""
    position, next_one, step = bits.position, bits.next_one, parameter + 1
    begins, ends = [], []
    for _ in range(count):
        begins.append(position)
        end = next_one[position]
        ends.append(end)
        position = end + step
    if position > len(bits.bits):
        raise IndexError
    bits.position = position
    return _Partition(parameter, begins, ends)


def _values(bits: _Bits, part: _Partition) -> Samples:
    ends = np.array(part.ends, np.int64)
    folded = (ends - np.array(part.begins, np.int64)) << part.parameter
    if part.parameter:
        low = bits.bits[ends[:, None] + np.arange(1, part.parameter + 1)]
        folded |= low @ (1 << np.arange(part.parameter - 1, -1, -1, dtype=np.int64))
    return folded >> 1 ^ -(folded & 1)
