"""Read the public FLAC conformance files as deliveries are read: `python -m scripts.flac_conformance FOLDER`.

Writes `docs/flac-conformance.md`.  FOLDER holds the collection `ietf-wg-cellar/flac-test-files`:
`subset/`, `uncommon/` and `faulty/`.  Each file goes through real decoder children, as many windows as fit;
what comes back is compared, sample for sample, with a decode of the whole file.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.framing import plan_windows, to_segment
from worker.audio.container import parse_header
from worker.audio.decoder_pool import DecoderPool
from worker.audio.flac_reader import FlacReader
from worker.constants import HEADER_PROBE_BYTES
from worker.exceptions import UnusableAudioError
from worker.records import DecodedAudio
from worker.settings import Settings

GROUPS = ("subset", "uncommon", "faulty")
DOCUMENT = Path("docs/flac-conformance.md")
_WINDOWS = 100  # more than any file of the collection has room for
_MD5_AT, _MD5_BYTES = 26, 16

_HEAD = """# FLAC conformance

What Lossgate does with each file of the public collection
[ietf-wg-cellar/flac-test-files](https://github.com/ietf-wg-cellar/flac-test-files) (CC0).
Made by `python -m scripts.flac_conformance FOLDER`; `LOSSGATE_FLAC_TEST_FILES=FOLDER make test` checks it.

The copy that was read lacked 13 large files: subset 33 to 36, 44, 48 to 53 and 55, and uncommon 06.

- **Decoded**: by which decoder, in how many windows; or too short to be heard (the verdict is `REVIEW`, `TOO_SHORT`).
- **Refused**: the verdict is `REVIEW` with this reason and this sentence.
- **Bit-exact**: every window equals a decode of the whole file by libsndfile; where libsndfile doesn't read the file,
  one by Lossgate's own decoder, whose samples have the MD5 that the file's header carries.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What became of one file."""

    group: str
    name: str
    outcome: str
    bit_exact: str = ""

    @property
    def row(self) -> str:
        """Its line in the document."""
        return f"| {self.name} | {self.outcome} | {self.bit_exact} |"


def read_case(pool: DecoderPool, group: str, path: Path) -> Case:
    """Read one file of the collection."""
    try:
        audio = pool.read(str(path), None)
    except UnusableAudioError as error:
        return Case(group, path.stem, f"refused, `{error.reason}`: {error.detail}")
    return Case(group, path.stem, f"decoded, {_decoder(audio)}", _bit_exact(path, audio))


def _decoder(audio: DecodedAudio) -> str:
    if audio.facts.decoder is None:
        return f"too short to be heard ({audio.facts.duration_s:.1f} s)"
    windows = len(audio.segments)
    return f"`{audio.facts.decoder}`, {windows} window{'s' * (windows > 1)}"


def _bit_exact(path: Path, audio: DecodedAudio) -> str:
    by_libsndfile = _whole_by_libsndfile(path, audio.facts.total_samples)
    by_md5 = None if by_libsndfile is not None else _whole_by_md5(path, audio.facts.total_samples)
    whole = by_libsndfile if by_md5 is None else by_md5
    if whole is None:
        return "unknown"
    rate_hz = audio.facts.sample_rate_hz
    windows = plan_windows(len(whole), rate_hz, _WINDOWS)
    expected = [to_segment(whole[window.start : window.start + window.length], rate_hz) for window in windows]
    equal = len(expected) == len(audio.segments) and all(map(np.array_equal, expected, audio.segments))
    return f"{'yes' if equal else 'NO'}, {'libsndfile' if by_md5 is None else 'MD5'}"


def _whole_by_libsndfile(path: Path, total: int) -> NDArray[np.float32] | None:
    try:
        whole, _ = soundfile.read(path, dtype="float32", always_2d=True, frames=total)
    except soundfile.LibsndfileError:
        return None
    return whole if len(whole) == total else None


def _whole_by_md5(path: Path, total: int) -> NDArray[np.float32] | None:
    with path.open("rb") as stream:
        head = stream.read(HEADER_PROBE_BYTES)
        info = parse_header(head, path.stat().st_size)
        samples = FlacReader(stream, info, total).read(0, total)
    raw = samples.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : (info.bit_depth + 7) // 8]
    found = hashlib.md5(raw.tobytes(), usedforsecurity=False).digest()
    if found != head[_MD5_AT : _MD5_AT + _MD5_BYTES]:
        return None
    return (samples * 0.5 ** (info.bit_depth - 1)).astype(np.float32)


def read_collection(folder: Path) -> Iterator[Case]:
    """Read all files of the collection that are there."""
    settings = Settings(_env_file=None, allowed_uri_prefixes=[str(folder.resolve())], windows_per_track=_WINDOWS)
    with DecoderPool(settings) as pool:
        pool.warm_up()
        for group in GROUPS:
            for path in sorted((folder.resolve() / group).glob("*.flac")):
                yield read_case(pool, group, path)


def document(cases: list[Case]) -> str:
    """Write the document."""
    parts = [_HEAD]
    for group in GROUPS:
        rows = [case.row for case in cases if case.group == group]
        heading = f"## {group.capitalize()}\n\n| file | what Lossgate does | bit-exact |\n|---|---|---|\n"
        parts.append(heading + "\n".join(rows) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write the document; fail where something is decoded differently."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    cases = []
    for case in read_collection(parser.parse_args().folder):
        print(f"{case.group} {case.row}")  # noqa: T201 -- progress of a command
        cases.append(case)
    DOCUMENT.write_text(document(cases), encoding="utf-8")
    return int(not cases or any(case.bit_exact and not case.bit_exact.startswith("yes") for case in cases))


if __name__ == "__main__":
    sys.exit(main())
