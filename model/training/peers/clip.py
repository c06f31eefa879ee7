"""An item of the bench as the FLAC file that a peer is given."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training.bench import BenchTrack, Item
from model.training.peers.known import REPEAT_FADE_S


def repeated(pcm: NDArray[np.int16] | NDArray[np.int32], samples: int, fade: int) -> NDArray[np.generic]:
    """Repeat a clip end to end until it is long enough.

    The ends are cross-faded over ``fade`` samples: a hard seam would be a click, which reads
    like a treatment.  Everything outside the fades stays bit for bit.

    Args:
        pcm: shape (n, channels), n > 2 * fade.
        samples: least length of the result.
        fade: samples of each cross-fade.

    Returns:
        Shape (m, channels), m >= samples, same dtype; ``pcm`` itself where it is long enough.
    """
    if len(pcm) >= samples:
        return pcm
    ramp = np.linspace(0.0, 1.0, fade)[:, None]
    seam = np.rint(pcm[-fade:] * (1.0 - ramp) + pcm[:fade] * ramp).astype(pcm.dtype)
    body = pcm[fade:-fade]
    copies = -(-(samples - 2 * fade) // (len(body) + fade))
    parts: list[NDArray[np.generic]] = [pcm[:fade], body]
    for _ in range(copies - 1):
        parts += [seam, body]
    return np.concatenate([*parts, pcm[-fade:]])


def write_clip(bench: BenchTrack, item: Item, path: Path, minimum_s: float) -> None:
    """Write an item as FLAC: 16 bit, or 24 bit of full-scale int32 samples."""
    pcm = bench.samples(item)
    long_enough = repeated(pcm, int(minimum_s * item.rate_hz), int(REPEAT_FADE_S * item.rate_hz))
    soundfile.write(path, long_enough, item.rate_hz, subtype="PCM_24" if pcm.dtype == np.int32 else "PCM_16")
