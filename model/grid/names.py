"""The frame grids that are searched, and the codec family each belongs to."""

from collections.abc import Mapping
from typing import Final

from model.constants import FAMILIES

# Opus twice, because a segment does not know its rate.
FAMILY_OF_GRID: Final[Mapping[str, str | None]] = {
    "aac": "aac",
    "aac_sine": "aac",
    "aac_short": "aac",
    "aac_short_sine": "aac",
    "aac_half": "aac",
    "aac_lattice": "aac",
    "ac3": "ac3",
    "ac3_lattice": "ac3",
    "mp2": "mp2",
    "mp3": "mp3",
    "mp3_lattice": "mp3",
    "mp3_short": "mp3",
    "opus_44k1": "opus",
    "opus_48k": "opus",
    "opus_44k1_lattice": "opus",
    "opus_48k_lattice": "opus",
    "vorbis": "vorbis",
    "vorbis_short": "vorbis",
    "vorbis_lattice": "vorbis",
    "wma": "wma",
    "dts": None,
    "sbc": None,
    "aac_resampled": "aac",
    "ac3_resampled": "ac3",
    "mp3_resampled": "mp3",
    "vorbis_resampled": "vorbis",
}
"""None: a codec of its own that is none of ``FAMILIES``; it has the grid's name."""
GRIDS: Final = tuple(FAMILY_OF_GRID)
RESAMPLED: Final = tuple(grid for grid in GRIDS if grid.endswith("_resampled"))
"""Those of decodes that were resampled between 44.1 and 48 kHz: searched at the rate the segment does not have."""
FAMILY_INDICES: Final = {
    row: FAMILIES.index(family) for row, family in enumerate(FAMILY_OF_GRID.values()) if family is not None
}
"""By a grid's index in ``GRIDS``, where its codec is one of ``FAMILIES``."""
