"""A lossless track with a few seconds in it that went through a codec, as a sample from an MP3 would.

Pure functions; the encoding itself is the caller's.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Audio = NDArray[np.float32]  # shape (n, 2)
STRETCH_S: Final = 5.0
CONTEXT_S: Final = 1.0  # encoded on either side, so that the encoder is in its stride inside the stretch
SEAM_S: Final = 0.005  # crossfade from lossless to lossy and back
_JOIN_S = 0.05  # crossfade from one track to the next
_LOUDEST_CHANGE = 2.0  # a decode that differs by more is not the same sound; its level is left alone


def join(tracks: Sequence[Audio], rate_hz: int) -> Audio:
    """Play tracks one after another, with short crossfades.

    Args:
        tracks: each of shape (n, 2), longer than the crossfade.
        rate_hz: of all of them.
    """
    fade = int(_JOIN_S * rate_hz)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)[:, None]
    out = tracks[0]
    for track in tracks[1:]:
        seam = out[-fade:] * ramp[::-1] + track[:fade] * ramp
        out = np.concatenate([out[:-fade], seam, track[fade:]])
    return out


def delay_of(decoded: NDArray[np.int16], original: NDArray[np.int16]) -> int:
    """Return by how many samples a decode comes later than its original, by cross-correlation."""
    mono = [pcm.astype(np.float64).mean(axis=1) for pcm in (decoded, original)]
    likeness = signal.correlate(mono[0], mono[1], mode="full", method="fft")
    return int(np.argmax(likeness)) - (len(original) - 1)


def insert(track: NDArray[np.int16], decoded: NDArray[np.int16], start: int, rate_hz: int) -> NDArray[np.int16]:
    """Replace a stretch of a track by its decode, in place, at its level.

    Args:
        track: shape (n, 2), lossless.
        decoded: shape (m, 2), the decode of ``stretch(track, start, rate_hz)``.
        start: first sample of the stretch in the track.
        rate_hz: of both.

    Returns:
        Shape (n, 2).

    Raises:
        ValueError: the decode is too short to fill the stretch.
    """
    length, context, fade = int(STRETCH_S * rate_hz), int(CONTEXT_S * rate_hz), int(SEAM_S * rate_hz)
    begin = context + delay_of(decoded, stretch(track, start, rate_hz))
    lossy = decoded[max(begin, 0) : max(begin, 0) + length].astype(np.float64)
    if begin < 0 or len(lossy) < length:
        raise ValueError(f"the decode of {len(decoded)} samples does not cover {length} from {begin} on")
    true = track[start : start + length].astype(np.float64)
    change = np.sqrt(np.mean(true**2) / max(float(np.mean(lossy**2)), 1.0))
    if 1.0 / _LOUDEST_CHANGE < change < _LOUDEST_CHANGE:
        lossy *= change
    weight = np.ones((length, 1))
    weight[:fade, 0] = np.linspace(0.0, 1.0, fade)
    weight[-fade:, 0] = np.linspace(1.0, 0.0, fade)
    out = track.copy()
    mixed = np.round(true * (1.0 - weight) + lossy * weight)
    out[start : start + length] = np.clip(mixed, -32_768, 32_767).astype(np.int16)
    return out


def stretch(track: NDArray[np.int16], start: int, rate_hz: int) -> NDArray[np.int16]:
    """Return what has to be encoded for ``insert``: the stretch with its context."""
    context = int(CONTEXT_S * rate_hz)
    return track[start - context : start + int(STRETCH_S * rate_hz) + context]
