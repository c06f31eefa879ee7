"""Short clips with a known truth, for demonstrations.

The list below is the whole selection: it was fixed before any clip was scored.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from model.training import codecs, mastering, mixing
from model.training.round_trip import round_trip
from model.training.sources import Source

CLIP_SECONDS = 9.0
EDGE_SECONDS = 0.25  # cut from either end: encoder delay, priming

# (title, rate in Hz, harmless treatment, encoding family and setting or None)
CLIPS: tuple[tuple[str, int, str | None, tuple[str, str] | None], ...] = (
    ("loops", 44_100, None, None),
    ("loops-48k", 48_000, None, None),
    ("low-passed-master", 44_100, "low-passed", None),
    ("resampled-master", 44_100, "resampled", None),
    ("loud-master", 44_100, "limited", None),
    ("aac-256", 44_100, None, ("aac", "256")),
    ("ac3-192", 48_000, None, ("ac3", "192")),
    ("mp2-256", 48_000, None, ("mp2", "256")),
    ("mp3-320", 44_100, None, ("mp3", "320")),
    ("opus-128", 48_000, None, ("opus", "128")),
    ("vorbis-q3", 44_100, None, ("vorbis", "q3")),
    ("wma-128", 44_100, None, ("wma", "128")),
)


def make_clips(sources: Sequence[Source], out: Path, *, seed: int) -> None:
    """Write the clips as 16-bit FLAC, and ``truth.csv`` beside them.

    Args:
        sources: of one source group that training never saw.
        out: folder.
        seed: everything follows from it.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, str]] = []
    for index, (title, rate_hz, treatment, encoding) in enumerate(CLIPS):
        rng = np.random.default_rng([seed, index])
        length = round((CLIP_SECONDS + 2 * EDGE_SECONDS) * rate_hz)
        audio, kind = mixing.compose(sources, rate_hz, length, rng)
        audio = mastering.set_peak(audio, -1.0)
        pcm = mastering.to_int16(audio, rng, dither=True)
        truth, bitrate, words = "lossless", "", f"true recording ({kind})"
        if treatment is not None:
            pcm, _ = mastering.variant(audio, rate_hz, rng, treatment)
            words = f"true recording, {treatment} ({kind})"
        if encoding is not None:
            chosen = codecs.encoding(*encoding)
            pcm = round_trip(pcm, rate_hz, chosen)
            truth, bitrate = chosen.family, f"{chosen.kbps:g}"
            words = f"round trip through {chosen.encoder} at {chosen.setting} ({kind})"
        edge = round(EDGE_SECONDS * rate_hz)
        cut = pcm[edge : edge + round(CLIP_SECONDS * rate_hz)]
        file = f"{index + 1:02d}-{title}.flac"
        soundfile.write(out / file, cut, rate_hz, subtype="PCM_16")
        rows.append((file, truth, bitrate, words))
    with (out / "truth.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("file", "truth", "bitrate", "description"))
        writer.writerows(rows)
