"""The encoders: what is drawn in training and the fixed table of the evaluation."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.constants import FAMILIES
from model.training.chance import happens

Program = Literal["ffmpeg", "gstreamer"]
CutOff = int | Literal["default", "none"]
FORCED_CUT_OFFS_HZ = (14_000, 16_000, 18_000, 20_000)
NO_CUT_OFF_HZ = 22_000  # what an encoder is told where its low-pass is to be removed


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to damage a track."""

    family: str
    encoder: str
    setting: str
    """Bitrate in kbit/s, or quality: ``320``, ``V0``, ``q8``."""
    kbps: float
    """Nominal stereo bitrate; for a quality setting its usual outcome."""
    cut_off: CutOff = "default"
    coder: str = ""
    """AAC only: the encoder's search, empty for its default."""

    @property
    def name(self) -> str:
        """A file name: ``mp3-libmp3lame-320-cut16000``."""
        parts = [self.family, self.encoder, self.setting]
        if self.coder:
            parts.append(self.coder)
        if self.cut_off != "default":
            parts.append(f"cut{self.cut_off}")
        return "-".join(parts)


_CONTAINERS = {
    "aac": "ipod",
    "ac3": "ac3",
    "mp2": "mp2",
    "mp3": "mp3",
    "opus": "ogg",
    "vorbis": "ogg",
    "wma": "asf",
}
# Shares of the training encodings whose low-pass is tampered with (Koops 2024).
_CUT_OFF_REMOVED, _CUT_OFF_FORCED = 0.25, 0.20
_HONOURS_CUT_OFF = frozenset({"aac", "ac3", "libmp3lame", "libvorbis"})
_QUALITY_KBPS = {
    "libmp3lame": {"V0": 245.0, "V2": 190.0, "V4": 165.0},
    "libvorbis": {"q1": 80.0, "q3": 112.0, "q5": 160.0, "q6": 192.0, "q8": 256.0, "q10": 500.0},
}
# family -> (encoder, settings drawn in training)
_TRAINING: dict[str, tuple[str, tuple[str, ...]]] = {
    "aac": ("aac", ("96", "128", "160", "192", "256", "320")),
    "ac3": ("ac3", ("128", "192", "224", "256", "320", "448", "640")),
    "mp2": ("mp2", ("128", "160", "192", "256", "320", "384")),
    "mp3": ("libmp3lame", ("96", "128", "160", "192", "256", "320", "V0", "V2", "V4")),
    "opus": ("libopus", ("64", "96", "128", "160", "192", "256", "320")),
    "vorbis": ("libvorbis", ("q1", "q3", "q5", "q6", "q8", "q10")),
    "wma": ("wmav2", ("96", "128", "160", "192", "256", "320")),
}
_TABLE: dict[str, tuple[str, ...]] = {
    "aac": ("128", "192", "256", "320"),
    "ac3": ("192", "320", "448"),
    "mp2": ("192", "256", "384"),
    "mp3": ("128", "192", "320", "V0"),
    "opus": ("96", "160", "256"),
    "vorbis": ("q3", "q6", "q10"),
    "wma": ("128", "192", "320"),
}


def _encoding(family: str, encoder: str, setting: str, cut_off: CutOff = "default", coder: str = "") -> Encoding:
    """Fill in the bitrate of a setting."""
    kbps = float(setting) if setting.isdecimal() else _QUALITY_KBPS[encoder][setting]
    return Encoding(family, encoder, setting, kbps, cut_off, coder)


def encoding(family: str, setting: str) -> Encoding:
    """Return a family's usual encoder at a setting, its low-pass left alone."""
    return _encoding(family, _TRAINING[family][0], setting)


def draw(family: str, rng: np.random.Generator) -> Encoding:
    """Draw an encoding for training: any bitrate; default, removed or forced low-pass."""
    encoder, settings = _TRAINING[family]
    chance = rng.random()
    cut_off: CutOff = "default"
    if encoder in _HONOURS_CUT_OFF and chance < _CUT_OFF_REMOVED + _CUT_OFF_FORCED:
        cut_off = "none" if chance < _CUT_OFF_REMOVED else int(rng.choice(FORCED_CUT_OFFS_HZ))
    coder = "fast" if family == "aac" and happens(rng, 0.3) else ""
    return _encoding(family, encoder, str(rng.choice(settings)), cut_off, coder)


def training_draws(count: int, rng: np.random.Generator) -> list[Encoding]:
    """Draw ``count`` different encodings, every family in turn."""
    chosen: dict[str, Encoding] = {}
    order = rng.permutation(FAMILIES)
    for family in itertools.islice(itertools.cycle(order), 4 * count):
        encoding = draw(str(family), rng)
        chosen.setdefault(encoding.name, encoding)
        if len(chosen) == count:
            break
    return list(chosen.values())


def table() -> Iterator[Encoding]:
    """Yield the evaluation's fixed rows: every family at several bitrates, as people encode."""
    for family, settings in _TABLE.items():
        for setting in settings:
            yield encoding(family, setting)


def forced_table() -> Iterator[Encoding]:
    """Yield encodings whose low-pass was removed or forced, where a cut-off detector fails."""
    yield _encoding("mp3", "libmp3lame", "320", "none")
    yield _encoding("aac", "aac", "128", "none")
    yield _encoding("aac", "aac", "256", 16_000)
    yield _encoding("vorbis", "libvorbis", "q6", 16_000)


def unseen_table() -> Iterator[Encoding]:
    """Yield encoders that training never saw: one encoder is not the codec."""
    yield _encoding("mp3", "libshine", "192")
    yield _encoding("aac", "voaacenc", "192")
    yield _encoding("ac3", "eac3", "256")
    yield _encoding("mp2", "libtwolame", "256")
    yield _encoding("wma", "wmav1", "192")


def program(encoding: Encoding) -> Program:
    """Return the program that has the encoder."""
    return "gstreamer" if encoding.encoder == "voaacenc" else "ffmpeg"


def container(encoding: Encoding) -> str:
    """Return ffmpeg's name of the container to encode into."""
    return "eac3" if encoding.encoder == "eac3" else _CONTAINERS[encoding.family]


def ffmpeg_arguments(encoding: Encoding) -> list[str]:
    """Return ffmpeg's encoder options."""
    arguments = ["-c:a", encoding.encoder]
    if encoding.setting.isdecimal():
        arguments += ["-b:a", f"{encoding.setting}k"]
    else:
        arguments += ["-q:a", encoding.setting[1:]]
    if encoding.cut_off == "none":
        arguments += ["-cutoff", str(NO_CUT_OFF_HZ)]
    elif encoding.cut_off != "default":
        arguments += ["-cutoff", str(encoding.cut_off)]
    if encoding.coder:
        arguments += ["-aac_coder", encoding.coder]
    if encoding.family == "opus":
        arguments += ["-ar", "48000"]
    return arguments
