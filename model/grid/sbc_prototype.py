"""The polyphase prototype of SBC with eight subbands."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.grid.constants import SBC_SUBBANDS, SBC_TAPS

# The first half and the middle of the prototype in units of 1e-11: A2DP specification 1.3, table 12.17, its sign
# changes every 16 taps taken out.  The other half mirrors it.
# fmt: off
_LEFT_HALF: Final = (
    0, 15_657_540, 34_325_642, 55_462_020, 82_391_951, 113_992_507, 147_640_169, 178_371_725,
    201_182_542, 210_371_989, 199_454_554, 161_656_283, 90_215_450, -17_880_536, -164_973_098, -349_717_454,
    -565_949_473, -802_941_163, -1_045_844_430, -1_274_723_350, -1_465_252_630, -1_590_456_030, -1_622_084_710,
    -1_531_841_060,
    -1_293_718_060, -885_757_540, -292_408_442, 491_578_024, 1_464_040_760, 2_610_987_520, 3_907_513_810,
    5_318_730_320,
    6_799_894_310, 8_298_475_780, 9_757_539_180, 11_119_668_900, 12_326_454_800, 13_326_441_500, 14_075_350_500,
    14_538_984_700,
    14_695_506_800,
)
# fmt: on


def analysis_matrix() -> NDArray[np.float64]:
    """Return the analysis filters (A2DP specification 1.3, 12.7): shape (80, 8), to the gain of the standard.

    Row 0 meets the *oldest* of 80 samples.  16-bit samples give the standard's subband samples.
    """
    left = np.asarray(_LEFT_HALF, dtype=np.float64) / 1e11
    prototype = np.concatenate([left, left[-2:0:-1]])
    taps = np.arange(SBC_TAPS)[:, None]
    # The standard's cosine has a period of 32 taps; unfolded, it carries the sign changes by itself.
    phase = (2 * np.arange(SBC_SUBBANDS) + 1) * (taps - SBC_SUBBANDS // 2) * np.pi / (2 * SBC_SUBBANDS)
    newest_first: NDArray[np.float64] = prototype[:, None] * np.cos(phase)
    return newest_first[::-1]
