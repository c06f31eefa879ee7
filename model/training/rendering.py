"""More true recordings: MIDI through lossless soundfonts, tracker modules through openmpt123.

Each song becomes a source group of its own, so that no song reaches two splits.
"""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

LONGEST_S = 75  # seconds of a song; variety before depth
TIMEOUT_S = 300.0
MODULE_SUFFIXES = frozenset({".it", ".mod", ".s3m", ".xm"})
MIDI_SUFFIXES = frozenset({".mid", ".midi"})


class RenderError(RuntimeError):
    """A renderer is missing or failed."""


def _run(command: list[str]) -> None:
    """Run a renderer; its words become the error."""
    if shutil.which(command[0]) is None:
        message = f"{command[0]} is not installed"
        raise RenderError(message)
    result = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - fixed commands
    if result.returncode != 0:
        message = f"{command[0]}: {result.stderr.decode(errors='replace').strip()[-300:]}"
        raise RenderError(message)


def render_midi(song: Path, soundfont: Path, out: Path, rate_hz: int) -> None:
    """Render one MIDI file with fluidsynth, as 16-bit WAV."""
    _run(
        [
            "fluidsynth",
            "-ni",
            "-q",
            "-g",
            "0.5",
            "-r",
            str(rate_hz),
            "-O",
            "s16",
            "-F",
            str(out),
            str(soundfont),
            str(song),
        ]
    )


def render_module(song: Path, out: Path, rate_hz: int) -> None:
    """Render one tracker module with openmpt123, as 16-bit WAV."""
    # Its dither is another one each time: a manifest could not be made again.
    command = ["openmpt123", "--batch", "--quiet", "--no-float", "--dither", "0", "--channels", "2"]
    command += ["--samplerate", str(rate_hz), "--end-time", str(LONGEST_S), "--force"]
    _run([*command, "--output", str(out), str(song)])


def render_all(songs: Iterable[Path], soundfont: Path | None, out: Path, rate_hz: int) -> tuple[int, list[str]]:
    """Render songs into ``out``, one folder (source group) a song; finished ones are kept.

    Args:
        songs: MIDI files and tracker modules.
        soundfont: for MIDI; without it MIDI files are left out.
        out: an ``--audio`` folder for the next step.
        rate_hz: of the renders.

    Returns:
        How many there are now, and what went wrong.
    """
    done, errors = 0, []
    for song in songs:
        is_midi = song.suffix.lower() in MIDI_SUFFIXES
        if is_midi and soundfont is None:
            continue
        target = out / f"{'midi' if is_midi else 'module'}-{song.stem}" / "song.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            part = target.with_suffix(".part.wav")
            try:
                if is_midi and soundfont is not None:
                    render_midi(song, soundfont, part, rate_hz)
                else:
                    render_module(song, part, rate_hz)
            except (RenderError, subprocess.TimeoutExpired) as error:
                errors.append(f"{song.name}: {error}")
                continue
            part.rename(target)
        done += 1
    return done, errors
