"""Encoders that training never meets, for the trials: one encoder is not the codec.

Some are ffmpeg's own, some are programs of their own; each that is missing here is named once and left out.
Codecs outside ``FAMILIES`` have the family ``OTHER``: lossy, but no family the network could name.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training.bench import OTHER
from model.training.codecs import Encoding
from model.training.round_trip import RoundTripError, decode, ffmpeg_binaries, round_trip, run_program

_JAVASCRIPT = Path(__file__).parent / "javascript"
_MODULES = {"libfdk_aac": "@ffmpeg/core-st", "lamejs": "lamejs"}
_PROGRAMS = {"lame": "lame", "oggenc": "oggenc", "opusenc": "opusenc", "mpcenc": "mpcenc"}

# Kbit/s of a quality setting: as measured on one rendered track, rounded.
HELD_OUT: Final = (
    Encoding("aac", "libfdk_aac", "128", 128.0),
    Encoding("aac", "libfdk_aac", "192", 192.0),
    Encoding("aac", "libfdk_aac", "256", 256.0),
    Encoding("aac", "libfdk_aac", "he64", 64.0),
    Encoding("aac", "voaacenc", "192", 192.0),
    Encoding("aac", "voaacenc", "256", 256.0),
    Encoding("mp3", "lamejs", "192", 192.0),
    Encoding("mp3", "lamejs", "320", 320.0),
    Encoding("mp3", "libshine", "192", 192.0),
    Encoding("mp3", "libshine", "320", 320.0),
    Encoding("mp2", "libtwolame", "256", 256.0),
    Encoding("mp2", "libtwolame", "320", 320.0),
    Encoding("ac3", "eac3", "256", 256.0),
    Encoding("ac3", "eac3", "384", 384.0),
    Encoding("ac3", "ac3_fixed", "320", 320.0),
    Encoding("ac3", "ac3_fixed", "448", 448.0),
    Encoding("wma", "wmav1", "192", 192.0),
    Encoding("wma", "wmav1", "256", 256.0),
    Encoding("vorbis", "vorbis", "q5", 150.0),
    Encoding("vorbis", "vorbis", "q8", 200.0),
    Encoding("opus", "opus", "160", 160.0),
    Encoding("opus", "opus", "256", 256.0),
    Encoding(OTHER, "mpcenc", "q5", 200.0),
    Encoding(OTHER, "mpcenc", "q7", 275.0),
    Encoding(OTHER, "sbc", "328", 328.0),
    Encoding(OTHER, "aptx", "352", 352.0),
    Encoding(OTHER, "dca", "768", 768.0),
)
"""Every setting of every encoder that training must never draw."""
HELD_OUT_ENCODERS: Final = frozenset(row.encoder for row in HELD_OUT)
"""Their names; ``codecs.draw`` must know none of them."""
OTHER_BUILDS: Final = (
    Encoding("mp3", "lame", "320", 320.0),
    Encoding("mp3", "lame", "V0", 245.0),
    Encoding("vorbis", "oggenc", "q7", 230.0),
    Encoding("opus", "opusenc", "192", 192.0),
)
"""Command-line builds of encoders that training knows in another version: related, so not held out."""
_HELD_OUT_TWICE = "libfdk_aac"  # the AAC most people have met gets two settings a track
_OTHERS_A_TRACK = 3


def draw(rng: np.random.Generator) -> tuple[Encoding, ...]:
    """Draw a track's settings: one of every held-out encoder (FDK two), three of the other codecs, one other build."""
    chosen: list[Encoding] = []
    names = list(dict.fromkeys(row.encoder for row in HELD_OUT))
    others = [name for name in names if any(row.encoder == name and row.family == OTHER for row in HELD_OUT)]
    left_out = set(rng.permutation(others)[_OTHERS_A_TRACK:])
    for name in names:
        rows = [row for row in HELD_OUT if row.encoder == name]
        count = 2 if name == _HELD_OUT_TWICE else 1
        picked = rng.permutation(len(rows))[:count]  # drawn for those left out too, so that the others stay put
        chosen += [] if name in left_out else [rows[int(i)] for i in sorted(picked)]
    return (*chosen, OTHER_BUILDS[int(rng.integers(len(OTHER_BUILDS)))])


@functools.lru_cache(maxsize=1)
def _ffmpeg_encoders() -> str:
    return run_program([ffmpeg_binaries()[0], "-hide_banner", "-encoders"]).decode(errors="replace")


def missing(modules: Path) -> dict[str, str]:
    """Return encoders that can't run here, with what each needs.

    Args:
        modules: folder ``node_modules`` with the npm packages.
    """
    wanted: dict[str, str] = {}
    for name in sorted({row.encoder for row in (*HELD_OUT, *OTHER_BUILDS)}):
        if name in _MODULES:
            if not shutil.which("node") or not (modules / _MODULES[name]).is_dir():
                wanted[name] = f"node and the npm package {_MODULES[name]} in {modules}"
        elif name in _PROGRAMS:
            if not shutil.which(_PROGRAMS[name]):
                wanted[name] = f"the program {_PROGRAMS[name]}"
        elif name == "voaacenc":
            inspect = shutil.which("gst-inspect-1.0")
            if not inspect or subprocess.run([inspect, "voaacenc"], capture_output=True, check=False).returncode:  # noqa: S603 - a fixed command
                wanted[name] = "GStreamer with its plugin voaacenc"
        elif f" {name} " not in _ffmpeg_encoders():
            wanted[name] = f"an ffmpeg with the encoder {name}"
    return wanted


def _encode(pcm: NDArray[np.int16], rate_hz: int, row: Encoding, folder: Path, modules: Path) -> tuple[Path, list[str]]:
    """Encode into a file of ``folder``; return it with the options ffmpeg needs to read it."""
    wave, raw, out = folder / "in.wav", folder / "in.raw", folder / "coded"
    soundfile.write(wave, pcm, rate_hz, subtype="PCM_16")
    number = row.setting.lstrip("qVhe")
    environment = {**os.environ, "NODE_PATH": str(modules)}
    if row.encoder == "libfdk_aac":
        out = out.with_suffix(".m4a")
        profile = ["-profile:a", "aac_he"] if row.setting.startswith("he") else []
        options = ["-c:a", "libfdk_aac", *profile, "-b:a", f"{number}k"]
        run_program(["node", str(_JAVASCRIPT / "fdk.cjs"), str(wave), str(out), *options], environment=environment)
    elif row.encoder == "lamejs":
        raw.write_bytes(pcm.tobytes())
        command = ["node", str(_JAVASCRIPT / "lamejs.cjs"), str(raw), str(rate_hz), number, str(out)]
        run_program(command, environment=environment)
    elif row.encoder in {"sbc", "aptx", "dca"}:
        form = "dts" if row.encoder == "dca" else row.encoder
        bitrate = [] if row.encoder == "aptx" else ["-b:a", f"{number}k"]  # aptX is always a quarter
        quiet = [ffmpeg_binaries()[0], "-loglevel", "error", "-nostdin", "-y", "-i", str(wave)]
        run_program([*quiet, "-c:a", row.encoder, *bitrate, "-strict", "-2", "-f", form, str(out)])
        return out, ["-f", form, *(["-sample_rate", str(rate_hz)] if row.encoder == "aptx" else [])]
    else:
        commands = {
            "lame": ["lame", "--quiet", "-V" if row.setting.startswith("V") else "-b", number, str(wave), str(out)],
            "oggenc": ["oggenc", "-Q", "-q", number, "-o", str(out), str(wave)],
            "opusenc": ["opusenc", "--quiet", "--bitrate", number, str(wave), str(out)],
            "mpcenc": ["mpcenc", "--silent", "--overwrite", "--quality", number, str(wave), f"{out}.mpc"],
        }
        run_program(commands[row.encoder])
        out = out.with_suffix(".mpc") if row.encoder == "mpcenc" else out
    return out, []


def other_round_trip(pcm: NDArray[np.int16], rate_hz: int, row: Encoding, modules: Path) -> NDArray[np.int16]:
    """Encode 16-bit stereo with one of this file's encoders and decode it with ffmpeg.

    Args:
        pcm: shape (n, 2).
        rate_hz: its rate and that of the result.
        row: of ``HELD_OUT`` or ``OTHER_BUILDS``.
        modules: folder ``node_modules`` with the npm packages.

    Returns:
        Shape (m, 2), m near n: encoder delay and padding stay in.

    Raises:
        RoundTripError: a program is missing, failed, or returned nothing.
    """
    if row.encoder in _MODULES or row.encoder in _PROGRAMS or row.family == OTHER:
        with tempfile.TemporaryDirectory(prefix="lossgate-") as folder:
            coded, options = _encode(pcm, rate_hz, row, Path(folder), modules)
            decoded = decode(ffmpeg_binaries()[0], coded, rate_hz, options)
    else:
        decoded = round_trip(pcm, rate_hz, row, binary=ffmpeg_binaries()[0])
    if len(decoded) == 0:
        raise RoundTripError(f"{row.name}: the decoder returned nothing")
    return decoded
