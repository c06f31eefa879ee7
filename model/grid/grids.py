"""The layer of each frame grid, and how many stretches of a segment it searches."""

from model.grid.celt import ResampledCeltEvidence
from model.grid.celt_lattice import CeltLatticeEvidence
from model.grid.constants import (
    AAC_HOP,
    AAC_KBD_ALPHA,
    AAC_SHORT_HOP,
    AAC_SHORT_KBD_ALPHA,
    AC3_HOP,
    AC3_KBD_ALPHA,
    VORBIS_HOP,
    VORBIS_SHORT_HOP,
    WMA_HOP,
)
from model.grid.dts import DTSEvidence
from model.grid.evidence import HALVES, OffsetEvidence
from model.grid.half_rate import HalfRateEvidence
from model.grid.lattice import AC3LatticeEvidence
from model.grid.mdct import MDCTEvidence, celt_at_48k
from model.grid.mp3_hybrid import HybridEvidence, ShortHybridEvidence, SubbandEvidence
from model.grid.power_lattice import AACLatticeEvidence, MP3LatticeEvidence
from model.grid.resampled import ResampledEvidence
from model.grid.sbc import SBCEvidence
from model.grid.vorbis_lattice import VorbisLatticeEvidence


def evidence_layers(effort: float = 1.0) -> dict[str, OffsetEvidence]:
    """Return a new evidence layer a grid, by its name, in the order of ``GRIDS``.

    The numbers of stretches share about one CPU-second a segment by what they find; several segments of a track
    are searched and their scores added.

    Args:
        effort: share of them that is searched; below 1 the weakest grids are missed.
    """

    def stretches(number: int) -> int:
        return HALVES * max(1, round(effort * number / HALVES))

    return {
        "aac": MDCTEvidence(AAC_HOP, "kbd", stretches(6), alpha=AAC_KBD_ALPHA, name="grid_aac"),
        "aac_sine": MDCTEvidence(AAC_HOP, "sine", stretches(2), name="grid_aac_sine"),
        "aac_short": MDCTEvidence(
            AAC_SHORT_HOP, "kbd", stretches(16), alpha=AAC_SHORT_KBD_ALPHA, name="grid_aac_short"
        ),
        # ffmpeg's encoder: long blocks with KBD, short ones with the sine.
        "aac_short_sine": MDCTEvidence(AAC_SHORT_HOP, "sine", stretches(16), name="grid_aac_short_sine"),
        # HE-AAC stands out by 60 to 1,000 sigma with ten frames an offset (measured): the least will do.
        "aac_half": HalfRateEvidence(stretches(2), name="grid_aac_half"),
        "aac_lattice": AACLatticeEvidence(stretches(2), name="grid_aac_lattice"),
        "ac3": MDCTEvidence(AC3_HOP, "kbd", stretches(16), alpha=AC3_KBD_ALPHA, name="grid_ac3"),
        "ac3_lattice": AC3LatticeEvidence(stretches(8), name="grid_ac3_lattice"),
        "mp2": SubbandEvidence(stretches(4), name="grid_mp2"),
        "mp3": HybridEvidence(stretches(12), name="grid_mp3"),
        "mp3_lattice": MP3LatticeEvidence(stretches(2), name="grid_mp3_lattice"),
        "mp3_short": ShortHybridEvidence(stretches(32), name="grid_mp3_short"),
        "opus_44k1": ResampledCeltEvidence(stretches(12), name="grid_opus_44k1"),
        "opus_48k": celt_at_48k(stretches(4), name="grid_opus_48k"),
        "opus_44k1_lattice": CeltLatticeEvidence(44_100, stretches(16), name="grid_opus_44k1_lattice"),
        "opus_48k_lattice": CeltLatticeEvidence(48_000, stretches(16), name="grid_opus_48k_lattice"),
        "vorbis": MDCTEvidence(VORBIS_HOP, "power_sine", stretches(8), name="grid_vorbis"),
        "vorbis_short": MDCTEvidence(VORBIS_SHORT_HOP, "power_sine", stretches(32), name="grid_vorbis_short"),
        "vorbis_lattice": VorbisLatticeEvidence(stretches(2), name="grid_vorbis_lattice"),
        "wma": MDCTEvidence(WMA_HOP, "sine", stretches(2), name="grid_wma"),
        "dts": DTSEvidence(stretches(8), name="grid_dts"),
        "sbc": SBCEvidence(stretches(2), name="grid_sbc"),
        "aac_resampled": ResampledEvidence(
            MDCTEvidence(AAC_HOP, "kbd", HALVES, alpha=AAC_KBD_ALPHA), stretches(8), name="grid_aac_resampled"
        ),
        "ac3_resampled": ResampledEvidence(
            MDCTEvidence(AC3_HOP, "kbd", HALVES, alpha=AC3_KBD_ALPHA), stretches(16), name="grid_ac3_resampled"
        ),
        "mp3_resampled": ResampledEvidence(HybridEvidence(HALVES), stretches(12), name="grid_mp3_resampled"),
        "vorbis_resampled": ResampledEvidence(
            MDCTEvidence(VORBIS_HOP, "power_sine", HALVES), stretches(8), name="grid_vorbis_resampled"
        ),
    }
