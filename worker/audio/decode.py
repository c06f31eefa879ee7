"""From an open object to the windows the network wants.  Runs in a decoder child.

tensorflow-io reads the windows as slices; it is bit-exact for what `ContainerInfo.tensorflow_io_reads` names.
libsndfile is the second decoder: for the formats tensorflow-io refuses or misreads, and where it raises.
`flac_reader` is the third: for FLACs of depths neither library reads (12, 20, 32 bit).
tensorflow-io never sees a FLAC whose announced length isn't the real one: it would wait for ever.
"""

import os
import tempfile
from collections.abc import Callable

import numpy as np
import soundfile
import tensorflow as tf
import tensorflow_io as tfio
from numpy.typing import NDArray

from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from model.framing import Window, analysis_rate_hz, plan_windows, to_segment
from worker.audio.announced_length import AnnouncedLength
from worker.audio.container import ContainerInfo, check_duration, id3_bytes, parse_header
from worker.audio.flac_length import total_samples
from worker.audio.flac_reader import FlacReader
from worker.audio.flac_subframes import FrameError
from worker.audio.limits import Limits
from worker.audio.object_store import StoredObject
from worker.constants import HEADER_PROBE_BYTES
from worker.exceptions import UnusableAudioError
from worker.records import AudioFacts, DecodedAudio, Decoder, Reason

_INT16_SCALE, _INT32_SCALE, _UINT8_SCALE = 2.0**-15, 2.0**-31, 2.0**-7

ReadWindow = Callable[[Window], NDArray[np.float32]]


def warm_up() -> None:
    """Decode one FLAC with each decoder: the first one is slow, and a broken installation shows here."""
    with tempfile.TemporaryFile(prefix="lossgate-") as file:
        soundfile.write(file, np.zeros((SEGMENT_SAMPLES, SEGMENT_CHANNELS)), 44_100, format="FLAC")
        size = file.seek(0, os.SEEK_END)
        stored = StoredObject(f"/proc/self/fd/{file.fileno()}", file, size, version_tag=None, sha256=None)
        info = _header(stored)
        window = (Window(0, SEGMENT_SAMPLES),)
        _read_all(_tensorflow_io_reader(stored), info, window)
        _read_all(_libsndfile_reader(stored, info, SEGMENT_SAMPLES), info, window)


def decode_object(stored: StoredObject, limits: Limits) -> DecodedAudio:
    """Decode the windows of an object.

    Raises:
        UnusableAudioError: it isn't usable audio.
    """
    info = _header(stored)
    total = total_samples(stored, info) if info.container == "flac" else info.total_samples or 0
    check_duration(total, info.rate_hz, limits.max_duration_s)
    if info.container == "flac":
        _check_last_frame(stored, info, total)
    windows = plan_windows(total, info.rate_hz, limits.windows_per_track)
    decoder, segments = _segments(stored, info, total, windows)
    facts = AudioFacts(
        container=info.container,
        sample_rate_hz=info.rate_hz,
        channels=info.channels,
        bit_depth=info.bit_depth,
        total_samples=total,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        version_tag=stored.version_tag,
        decoder=decoder,
    )
    starts_s = tuple(window.start / info.rate_hz for window in windows)
    return DecodedAudio(facts, segments, starts_s, analysis_rate_hz(info.rate_hz))


def _header(stored: StoredObject) -> ContainerInfo:
    head = stored.read_at(0, HEADER_PROBE_BYTES)
    prefix = id3_bytes(head)
    if prefix:
        head = stored.read_at(prefix, HEADER_PROBE_BYTES)
    return parse_header(head, stored.size_bytes, prefix)


def _check_last_frame(stored: StoredObject, info: ContainerInfo, total: int) -> None:
    """Decode the last samples: the last frame's header may be there and the rest of it cut off."""
    length = min(info.max_block_samples, total)
    _, read = _exact_reader(stored, info, total)
    try:
        read(Window(total - length, length))
    except UnusableAudioError as error:
        if error.reason is not Reason.CORRUPT:
            raise
        raise _corrupt(f"The FLAC's last frame (of {total:,} samples) is incomplete; deliver it again.") from None


def _segments(
    stored: StoredObject, info: ContainerInfo, total: int, windows: tuple[Window, ...]
) -> tuple[Decoder | None, NDArray[np.float32]]:
    if not windows:
        return None, np.zeros((0, SEGMENT_SAMPLES, SEGMENT_CHANNELS), np.float32)
    if info.tensorflow_io_reads:
        try:
            return Decoder.TENSORFLOW_IO, _read_all(_tensorflow_io_reader(stored), info, windows)
        except tf.errors.OpError:
            pass  # libsndfile has the last word: it says where the damage is, or reads what tensorflow-io can't
    decoder, read = _exact_reader(stored, info, total)
    return decoder, _read_all(read, info, windows)


def _exact_reader(stored: StoredObject, info: ContainerInfo, total: int) -> tuple[Decoder, ReadWindow]:
    """Pick the decoder that reads this format and says where it is damaged."""
    if info.only_built_in_reads:
        return Decoder.BUILT_IN, _built_in_reader(stored, info, total)
    return Decoder.LIBSNDFILE, _libsndfile_reader(stored, info, total)


def _read_all(read: ReadWindow, info: ContainerInfo, windows: tuple[Window, ...]) -> NDArray[np.float32]:
    """One window after another, so that no more than one is held at its native rate."""
    segments = np.empty((len(windows), SEGMENT_SAMPLES, SEGMENT_CHANNELS), np.float32)
    for segment, window in zip(segments, windows, strict=True):
        samples = read(window)
        if samples.shape != (window.length, info.channels):
            raise _short(window, len(samples))
        segment[:] = to_segment(samples, info.rate_hz)
    return segments


def _tensorflow_io_reader(stored: StoredObject) -> ReadWindow:
    audio = tfio.audio.AudioIOTensor(stored.path)

    def read(window: Window) -> NDArray[np.float32]:
        return _to_float(audio[window.start : window.start + window.length].numpy())

    return read


def _to_float(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Scale what tensorflow-io returns to [-1, 1]; 24 bits come in the upper bytes of int32, 8 bits unsigned."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) * np.float32(_INT16_SCALE)
    if samples.dtype == np.int32:
        return samples.astype(np.float32) * np.float32(_INT32_SCALE)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) * np.float32(_UINT8_SCALE)
    return _bounded(samples.astype(np.float32))


def _bounded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Floating-point files may hold anything, infinities and NaN among it."""
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


def _libsndfile_reader(stored: StoredObject, info: ContainerInfo, total: int) -> ReadWindow:
    stored.stream.seek(0)
    # libsndfile can't find its way in a FLAC that doesn't say how long it is, so it is told.
    stream = stored.stream if info.total_samples is not None else AnnouncedLength(stored.stream, info, total)
    try:
        audio = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        if info.container == "flac":
            raise _corrupt("The FLAC is damaged between its header and its audio; deliver it again.") from None
        msg = f"No decoder reads this {info.bit_depth}-bit WAV: {error.error_string}"
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, msg) from None
    if (audio.samplerate, audio.channels) != (info.rate_hz, info.channels):
        raise _corrupt("The decoder finds another sampling rate or channel count than the header; deliver it again.")

    def read(window: Window) -> NDArray[np.float32]:
        try:
            audio.seek(window.start)
            samples = audio.read(window.length, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            raise _short(window, 0) from None
        if len(samples) < window.length:
            raise _short(window, len(samples))
        return _bounded(samples) if info.is_float else samples

    return read


def _built_in_reader(stored: StoredObject, info: ContainerInfo, total: int) -> ReadWindow:
    try:
        reader = FlacReader(stored.stream, info, total)
    except FrameError as error:
        raise _corrupt(f"The FLAC is damaged: {error}; deliver it again.") from None

    def read(window: Window) -> NDArray[np.float32]:
        try:
            return reader.read_float(window.start, window.length)
        except FrameError:
            raise _short(window, 0) from None

    return read


def _short(window: Window, found: int) -> UnusableAudioError:
    return _corrupt(
        f"The audio is damaged: {found:,} of the {window.length:,} samples from sample {window.start:,} on "
        "can be decoded; deliver it again."
    )


def _corrupt(detail: str) -> UnusableAudioError:
    return UnusableAudioError(Reason.CORRUPT, detail)
