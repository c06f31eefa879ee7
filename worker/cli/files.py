"""From the paths on the command line to the audio files they mean."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.records import Decision, Judgement, Reason

AUDIO_SUFFIXES = frozenset({".flac", ".wav"})

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


@dataclass(frozen=True, slots=True)
class AudioFile:
    """One file to look at, or a place where there is nothing to look at.

    Attributes:
        path: as the user named it, or below the folder the user named.
        problem: why there is nothing to look at; None for a file.
    """

    path: str
    problem: Judgement | None = None

    @property
    def absolute(self) -> str:
        """The path the worker is given: links followed, so that it is what is really read."""
        return os.path.realpath(self.path)


def is_uri(text: str) -> bool:
    """Tell `s3://…` and its like from a path."""
    return _URI.match(text) is not None


def find_audio(paths: Iterable[str]) -> Iterator[AudioFile]:
    """Name every file the paths mean, in order.

    A file is taken whatever its name is, even if it is not there: that becomes its verdict.
    A folder means the `.flac` and `.wav` files in it and below, sorted, upper or lower case, links to folders left out.
    A folder without any, or one that can't be read, is named with its problem: it must not pass for accepted.
    """
    for path in paths:
        if Path(path).is_dir():
            yield from _below(path)
        else:
            yield AudioFile(path)


def _below(folder: str) -> Iterator[AudioFile]:
    problems: list[AudioFile] = []

    def note(error: OSError) -> None:
        judgement = Judgement(Decision.REVIEW, Reason.ACCESS_DENIED, f"The folder can't be read: {error.strerror}.")
        problems.append(AudioFile(str(error.filename), judgement))

    found = False
    for parent, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in AUDIO_SUFFIXES:
                found = True
                yield AudioFile(str(Path(parent, name)))
    yield from problems
    if not found and not problems:
        judgement = Judgement(Decision.REVIEW, Reason.EMPTY, "The folder holds no .flac or .wav file.")
        yield AudioFile(folder, judgement)
