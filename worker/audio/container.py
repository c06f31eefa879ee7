"""What an object claims to be, read from its first bytes.  Pure.

The magic number decides, never the name: a WAV named `.flac` is a WAV.
Nothing here is believed about lengths beyond what the size of the object allows;
for FLAC the last frame is asked as well (`flac_frames`).
"""

import struct
from dataclasses import dataclass

from worker.audio.flac_frames import LONGEST_HEADER, parse_frame_header
from worker.constants import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from worker.exceptions import UnusableAudioError
from worker.records import Reason

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_UNKNOWN_32 = 0xFFFFFFFF
_ID3_HEADER = 10
_STREAMINFO_BYTES = 34
_SHORTEST_FMT, _EXTENSIBLE_FMT = 16, 40
_WAV_MAGICS = (b"RIFF", b"RF64", b"BW64")
_TENSORFLOW_IO_BYTES = 2**31 - 1  # of samples in a WAV; it counts in 32 bits with a sign, and aborts beyond
_TENSORFLOW_IO_DEPTHS = (8, 16, 24)
_FLAC_DEPTHS = range(4, 33)

# Magic, offset, name; only used to tell the reviewer what the object is instead.
_OTHERS = (
    (b"OggS", 0, "Ogg (Vorbis, Opus or Ogg FLAC)"),
    (b"ftyp", 4, "MP4/M4A (AAC or ALAC)"),
    (b"FORM", 0, "AIFF"),
    (b"MThd", 0, "MIDI"),
    (b"wvpk", 0, "WavPack"),
    (b"MAC ", 0, "Monkey's Audio"),
    (b"DSD ", 0, "DSF"),
    (b"FRM8", 0, "DSDIFF"),
    (b"riff", 0, "Wave64"),
    (b"\x30\x26\xb2\x75", 0, "ASF/WMA"),
    (b"\x1aE\xdf\xa3", 0, "Matroska/WebM"),
    (b"\x0bw", 0, "AC-3"),
    (b"PK\x03\x04", 0, "ZIP"),
    (b"<", 0, "a text (HTML or XML)"),
)


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """Header of one FLAC or WAV."""

    container: str  # "flac" or "wav"
    rate_hz: int
    channels: int
    bit_depth: int
    total_samples: int | None  # per channel; None where a FLAC doesn't say
    prefix_bytes: int = 0  # ID3 tag in front
    is_float: bool = False
    is_64_bit: bool = False  # RF64 or BW64
    min_block_samples: int = 0  # FLAC only
    max_block_samples: int = 0

    @property
    def tensorflow_io_reads(self) -> bool:
        """Whether tensorflow-io decodes this bit for bit (measured); libsndfile is asked otherwise.

        32-bit PCM WAV is the trap: tensorflow-io hands its integers out as if they were floats, without an error.
        """
        if self.prefix_bytes or self.total_samples is None or self.is_64_bit:
            return False
        if self.container == "wav" and self.total_samples * self.channels * self.bit_depth // 8 > _TENSORFLOW_IO_BYTES:
            return False
        if self.is_float:
            return self.bit_depth == 32  # noqa: PLR2004 -- float32; float64 it refuses
        return self.bit_depth in _TENSORFLOW_IO_DEPTHS

    @property
    def only_built_in_reads(self) -> bool:
        """Whether neither library reads this: libsndfile knows the same depths of FLAC as tensorflow-io."""
        return self.container == "flac" and self.bit_depth not in _TENSORFLOW_IO_DEPTHS


def id3_bytes(head: bytes) -> int:
    """Length of an ID3v2 tag at the start, 0 where there is none."""
    if len(head) < _ID3_HEADER or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:_ID3_HEADER]:
        size = size << 7 | byte & 0x7F
    footer = _ID3_HEADER if head[5] & 0x10 else 0
    return _ID3_HEADER + size + footer


def parse_header(head: bytes, size_bytes: int, prefix_bytes: int = 0) -> ContainerInfo:
    """Read the header of an object.

    Args:
        head: the bytes from ``prefix_bytes`` on, at least the first few thousand.
        size_bytes: of the whole object.
        prefix_bytes: length of the ID3 tag in front of ``head``.

    Raises:
        UnusableAudioError: EMPTY, UNSUPPORTED_FORMAT or CORRUPT.
    """
    if size_bytes == 0:
        raise UnusableAudioError(Reason.EMPTY, "The object is empty (0 bytes); deliver it again.")
    if head[:4] == b"fLaC":
        info = _flac(head, prefix_bytes)
    elif head[:4] in _WAV_MAGICS and head[8:12] == b"WAVE":
        info = _wav(head, size_bytes, prefix_bytes)
    else:
        raise UnusableAudioError(
            Reason.UNSUPPORTED_FORMAT, f"The object is {_name(head, prefix_bytes)}, not FLAC or WAV."
        )
    _check_ranges(info)
    return info


def check_duration(total_samples: int, rate_hz: int, max_duration_s: float) -> None:
    """Refuse tracks that are longer than allowed.

    Raises:
        UnusableAudioError: TOO_LONG.
    """
    if total_samples > max_duration_s * rate_hz:
        msg = (
            f"The track lasts {total_samples / rate_hz:,.0f} s, the limit is {max_duration_s:,.0f} s "
            "(LOSSGATE_MAX_DURATION_S)."
        )
        raise UnusableAudioError(Reason.TOO_LONG, msg)


def _corrupt(detail: str) -> UnusableAudioError:
    return UnusableAudioError(Reason.CORRUPT, detail)


def _name(head: bytes, prefix_bytes: int) -> str:
    for magic, offset, name in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return name
    if parse_frame_header(head[:LONGEST_HEADER]) is not None:
        return "a stream of FLAC frames without their header"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # noqa: PLR2004 -- ADTS sync word
        return "an AAC stream (ADTS)"
    if prefix_bytes or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):  # noqa: PLR2004 -- MPEG sync
        return "an MPEG audio stream (MP3)"
    return "of no known kind"


def _flac(head: bytes, prefix_bytes: int) -> ContainerInfo:
    if len(head) < 8 + _STREAMINFO_BYTES:
        raise _corrupt(f"The FLAC ends after {len(head)} bytes, inside its header; deliver it again.")
    kind, length = head[4] & 0x7F, int.from_bytes(head[5:8], "big")
    if kind != 0 or length != _STREAMINFO_BYTES:
        raise _corrupt("The FLAC doesn't begin with its STREAMINFO block (byte 4); deliver it again.")
    min_block, max_block = struct.unpack(">HH", head[8:12])
    packed = int.from_bytes(head[18:26], "big")
    info = ContainerInfo(
        container="flac",
        rate_hz=packed >> 44,
        channels=(packed >> 41 & 7) + 1,
        bit_depth=(packed >> 36 & 31) + 1,
        total_samples=(packed & (1 << 36) - 1) or None,
        prefix_bytes=prefix_bytes,
        min_block_samples=min_block,
        max_block_samples=max_block,
    )
    if not 0 < min_block <= max_block or info.bit_depth not in _FLAC_DEPTHS:
        raise _corrupt("The FLAC's STREAMINFO makes no sense (block size or bit depth); deliver it again.")
    return info


def _wav(head: bytes, size_bytes: int, prefix_bytes: int) -> ContainerInfo:
    is_64_bit = head[:4] != b"RIFF"
    fmt, data_bytes_64, position = b"", None, 12
    while position + 8 <= len(head):
        name, length = struct.unpack("<4sI", head[position : position + 8])
        body = position + 8
        if name == b"ds64" and len(head) >= body + 24:
            data_bytes_64 = int.from_bytes(head[body + 8 : body + 16], "little")
        elif name == b"fmt ":
            fmt = head[body : body + length]
        elif name == b"data":
            room = size_bytes - prefix_bytes - body
            claimed = data_bytes_64 if is_64_bit and length == _UNKNOWN_32 and data_bytes_64 is not None else length
            # Recorders that stream write 0 or all ones: the data then run to the end.
            streamed = claimed == _UNKNOWN_32 or (claimed == 0 and room > 0)
            return _wav_info(fmt, room if streamed else claimed, room, prefix_bytes, is_64_bit=is_64_bit)
        position = body + length + length % 2
    if size_bytes - prefix_bytes <= position:
        raise _corrupt(f"The WAV ends after {size_bytes} bytes, before its audio; deliver it again.")
    msg = f"The WAV's audio begins after the first {len(head)} bytes; move its other chunks behind the audio."
    raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)


def _wav_info(fmt: bytes, data_bytes: int, room: int, prefix_bytes: int, *, is_64_bit: bool) -> ContainerInfo:
    if len(fmt) < _SHORTEST_FMT:
        raise _corrupt("The WAV has no usable 'fmt ' chunk before its audio; deliver it again.")
    tag, channels, rate_hz, _, frame_bytes, depth = struct.unpack("<HHIIHH", fmt[:_SHORTEST_FMT])
    if tag == _EXTENSIBLE and len(fmt) >= _EXTENSIBLE_FMT:
        tag = int.from_bytes(fmt[24:26], "little")
    if tag not in (_PCM, _FLOAT):
        msg = f"The WAV holds format 0x{tag:04X}, not PCM or floating point; deliver it as PCM."
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)
    if depth not in ((32, 64) if tag == _FLOAT else (8, 16, 24, 32)):
        msg = f"The WAV has {depth} bits a sample; 8, 16, 24, 32 and floating point are supported."
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)
    if channels == 0 or frame_bytes != channels * depth // 8:
        raise _corrupt(f"The WAV says {channels} channels of {depth} bits in {frame_bytes} bytes; deliver it again.")
    total = data_bytes // frame_bytes
    missing = total - max(room, 0) // frame_bytes
    if missing > 0:
        raise _corrupt(f"The file is cut off: {missing:,} of its {total:,} samples are missing; deliver it again.")
    return ContainerInfo(
        container="wav",
        rate_hz=rate_hz,
        channels=channels,
        bit_depth=depth,
        total_samples=total,
        prefix_bytes=prefix_bytes,
        is_float=tag == _FLOAT,
        is_64_bit=is_64_bit,
    )


def _check_ranges(info: ContainerInfo) -> None:
    if not MIN_RATE_HZ <= info.rate_hz <= MAX_RATE_HZ:
        msg = f"The sampling rate is {info.rate_hz} Hz; {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz are supported."
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)
    if info.channels > MAX_CHANNELS:
        msg = f"The file has {info.channels} channels; 1 to {MAX_CHANNELS} are supported."
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)
