"""SBC, Bluetooth's codec: eight subbands of a filter bank with 80 taps."""

import keras
import numpy as np
from numpy.typing import NDArray

from model.grid.constants import SBC_SUBBANDS, SBC_TAPS
from model.grid.filter_bank import FilterBankEvidence

_FRAME = 512  # samples: four of SBC's longest frames, which no offset depends on
# The left half of the prototype in units of 1e-11 and its middle: the table for 8 subbands of the Advanced Audio
# Distribution Profile (Bluetooth SIG, appendix B), its sign changes every 16 taps taken out.
# fmt: off
_LEFT_HALF = (
    0, 15_657_540, 34_325_643, 55_462_020, 82_391_951, 113_992_507, 147_640_169, 178_371_725,
    201_182_542, 210_371_989, 199_454_554, 161_656_283, 90_215_450, -17_880_536, -164_973_098, -349_717_454,
    -565_949_473, -802_941_163, -1_045_844_430, -1_274_723_350, -1_465_252_630, -1_590_456_030, -1_622_084_710,
    -1_531_841_060, -1_293_718_060, -885_757_540, -292_408_442, 491_578_024, 1_464_040_760, 2_610_987_520,
    3_907_513_810, 5_318_730_320, 6_799_894_310, 8_298_475_780, 9_757_539_180, 11_119_668_900, 12_326_454_800,
    13_326_441_500, 14_075_350_500, 14_538_984_700, 14_695_506_800,
)
# fmt: on


@keras.saving.register_keras_serializable("lossgate")
class SBCEvidence(FilterBankEvidence):
    """Holes of SBC's quantised subband samples: (b, n, 2) -> (b, HALVES, 9, BANDS, CHANNELS).

    A subband has 2^bits - 1 levels, so zero is one of them.
    """

    offsets = SBC_SUBBANDS
    frame = _FRAME
    statistics = 1
    hole_statistics = 1
    taps = SBC_TAPS
    # Not the lowest, which neighbouring offsets hear alike, nor the highest, which ends at half the rate.
    subbands = np.arange(1, SBC_SUBBANDS - 1)
    band_edges = (0.125, 0.25, 0.375, 0.625, 0.875)
    window = _FRAME + SBC_TAPS - SBC_SUBBANDS
    stride = 4 * _FRAME // SBC_SUBBANDS
    needed = _FRAME + SBC_TAPS - 1

    def filters(self) -> NDArray[np.float64]:
        """Return the standard's analysis filters, oldest sample first: (80, subbands)."""
        left = np.asarray(_LEFT_HALF, dtype=np.float64) * 1e-11
        prototype = np.concatenate([left, left[-2:0:-1]])
        taps = np.arange(SBC_TAPS)[:, None]
        phase = (2 * self.subbands + 1) * (taps - SBC_SUBBANDS // 2) * np.pi / (2 * SBC_SUBBANDS)
        newest_first: NDArray[np.float64] = prototype[:, None] * np.cos(phase)
        return newest_first[::-1]
