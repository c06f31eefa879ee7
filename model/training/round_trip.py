"""One trip through an encoder and back."""

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training import codecs

TIMEOUT_S = 120.0


class RoundTripError(RuntimeError):
    """An encoder or decoder failed; the message carries its own words."""


@functools.lru_cache(maxsize=1)
def ffmpeg_binaries() -> tuple[str, ...]:
    """Return the ffmpegs at hand: the one on PATH and the one of imageio-ffmpeg.

    Raises:
        RoundTripError: there is none.
    """
    found = [path] if (path := shutil.which("ffmpeg")) else []
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - optional: only the train extra has it
    except ImportError:
        pass
    else:
        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    if not found:
        message = "no ffmpeg: install the train extra or put ffmpeg on PATH"
        raise RoundTripError(message)
    return tuple(found)


def run_program(command: list[str], stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
    """Run a program; return its stdout.

    Raises:
        RoundTripError: it is missing, took too long or failed.
    """
    try:
        result = subprocess.run(  # noqa: S603 - fixed commands
            command, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{command[0]}: {error}"
        raise RoundTripError(message) from error
    if result.returncode != 0:
        words = result.stderr.decode(errors="replace").strip()[-400:]
        message = f"{' '.join(command)} failed: {words}"
        raise RoundTripError(message)
    return result.stdout


def _encode_gstreamer(pcm: NDArray[np.int16], rate_hz: int, encoding: codecs.Encoding, out: Path) -> None:
    """Encode with VisualOn's AAC encoder."""
    wave = out.with_suffix(".wav")
    soundfile.write(wave, pcm, rate_hz, subtype="PCM_16")
    pipeline = f"filesrc location={wave} ! wavparse ! audioconvert ! voaacenc bitrate={int(encoding.kbps)}000"
    run_program(
        [
            "gst-launch-1.0",
            "-q",
            *pipeline.split(),
            "!",
            "aacparse",
            "!",
            "audio/mpeg,stream-format=adts",
            "!",
            "filesink",
            f"location={out}",
        ]
    )


def decode(ffmpeg: str, coded: Path, rate_hz: int, options: Sequence[str] = ()) -> NDArray[np.int16]:
    """Decode a file as an ordinary decoder does: 16-bit stereo, rounded, shape (n, 2).

    Args:
        ffmpeg: the program.
        coded: the file.
        rate_hz: of the result.
        options: what ffmpeg must be told about a file that does not say what it is.

    Raises:
        RoundTripError: ffmpeg failed.
    """
    quiet = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin"]
    raw = ["-f", "s16le", "-ac", "2", "-ar", str(rate_hz), "pipe:1"]
    return np.frombuffer(run_program([*quiet, *options, "-i", str(coded), *raw]), dtype="<i2").reshape(-1, 2)


def round_trip(
    pcm: NDArray[np.int16],
    rate_hz: int,
    encoding: codecs.Encoding,
    *,
    binary: str | None = None,
    delivered_hz: int | None = None,
) -> NDArray[np.int16]:
    """Encode and decode 16-bit stereo.

    Args:
        pcm: shape (n, 2).
        rate_hz: its rate.
        encoding: how.
        binary: an ffmpeg; the first one found where None.
        delivered_hz: rate of the result; ``rate_hz`` where None.

    Returns:
        Shape (m, 2), as an ordinary decoder delivers it (16 bit, rounded), m near n: encoder
        delay and padding stay in.

    Raises:
        RoundTripError: a program is missing, failed, or returned nothing.
    """
    ffmpeg = binary or ffmpeg_binaries()[0]
    raw = ["-f", "s16le", "-ac", "2"]
    quiet = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    with tempfile.TemporaryDirectory(prefix="lossgate-") as folder:
        coded = Path(folder) / "coded"
        if codecs.program(encoding) == "gstreamer":
            _encode_gstreamer(pcm, rate_hz, encoding, coded)
        else:
            options = [*codecs.ffmpeg_arguments(encoding), "-strict", "-2", "-threads", "1"]
            command = [*quiet, *raw, "-ar", str(rate_hz), "-i", "pipe:0", *options]
            run_program([*command, "-f", codecs.container(encoding), str(coded)], pcm.tobytes())
        decoded = decode(ffmpeg, coded, delivered_hz or rate_hz)
    if decoded.size == 0:
        message = f"{encoding.name}: the decoder returned nothing"
        raise RoundTripError(message)
    return decoded
