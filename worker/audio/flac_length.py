"""How many samples a FLAC really holds: its last frame says so, whatever the header announces."""

from worker.audio.container import ContainerInfo
from worker.audio.flac_frames import SYNCS, FrameHeader, frame_ends, frame_headers, longest_frame_bytes
from worker.audio.flac_subframes import FrameError, decode_frame
from worker.audio.object_store import StoredObject
from worker.constants import HEADER_PROBE_BYTES
from worker.exceptions import UnusableAudioError
from worker.records import Reason

_TAGS_BYTES = HEADER_PROBE_BYTES  # what may follow the last frame: ID3v1, APE tags, padding
_MOST_CANDIDATES = 64  # what looks like a header, near the end
_NEXT_FRAME = (*SYNCS, b"\xff")  # whole or cut off


def total_samples(stored: StoredObject, info: ContainerInfo) -> int:
    """Find out how many samples a FLAC really holds.

    Raises:
        UnusableAudioError: CORRUPT where that isn't what STREAMINFO announces;
            UNSUPPORTED_FORMAT where the stream ends with another rate, depth or channel count than it began with.
    """
    longest = longest_frame_bytes(info.max_block_samples, info.channels, info.bit_depth)
    tail_bytes = min(stored.size_bytes - info.prefix_bytes, longest + _TAGS_BYTES)
    tail = stored.read_at(stored.size_bytes - tail_bytes, tail_bytes)
    if info.total_samples is None:
        return _end_of_last_frame(tail, info)
    ends = list(
        frame_ends(
            tail,
            channels=info.channels,
            bit_depth=info.bit_depth,
            block_samples=info.min_block_samples,
            max_block_samples=info.max_block_samples,
        )
    )
    if not ends:
        _end_of_last_frame(tail, info)
        raise _cut_off()
    announced, last = info.total_samples, ends[0]
    if all(end.sample != announced for end in ends):
        difference = announced - last.sample
        what = f"{difference:,} are missing" if difference > 0 else f"{-difference:,} more are there"
        raise _corrupt(
            f"The FLAC announces {announced:,} samples, {what}; it was cut off or altered, deliver it again."
        )
    return announced


def _end_of_last_frame(tail: bytes, info: ContainerInfo) -> int:
    """Decode the last frame, which tells it from bytes that look like a header, and compare it with STREAMINFO."""
    for _, (position, header) in zip(range(_MOST_CANDIDATES), frame_headers(tail), strict=False):
        depth = header.bit_depth or info.bit_depth
        longest = longest_frame_bytes(header.block_samples, header.channels, depth)
        try:
            _, length = decode_frame(tail[position : position + longest], header, depth)
        except FrameError:
            continue
        if tail[position + length : position + length + 2] in _NEXT_FRAME:
            break  # another frame follows, and is damaged
        _check_shape(header, info)
        return header.starts(info.min_block_samples, info.max_block_samples)[0] + header.block_samples
    raise _cut_off()


def _check_shape(header: FrameHeader, info: ContainerInfo) -> None:
    differences = [
        f"{after} {unit} instead of {before}"
        for unit, before, after in (
            ("Hz", info.rate_hz, header.rate_hz or info.rate_hz),
            ("channel(s)", info.channels, header.channels),
            ("bits a sample", info.bit_depth, header.bit_depth or info.bit_depth),
        )
        if before != after
    ]
    if differences:
        msg = f"The FLAC doesn't end as its header says: {', '.join(differences)}; deliver one file for each format."
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg)


def _cut_off() -> UnusableAudioError:
    return _corrupt("The FLAC has no whole audio frame at its end: it is cut off or damaged there; deliver it again.")


def _corrupt(detail: str) -> UnusableAudioError:
    return UnusableAudioError(Reason.CORRUPT, detail)
