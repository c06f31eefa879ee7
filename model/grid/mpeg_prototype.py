"""The polyphase prototype of MPEG-1 audio, layers I to III."""

import numpy as np
from numpy.typing import NDArray

from model.grid.constants import MPEG_SUBBANDS, MPEG_TAPS

# The right half of the prototype in units of 2^-21: table C.1 of ISO/IEC 11172-3 from
# index 256 on, its sign changes every 64 taps taken out.  The left half mirrors it.
# fmt: off
_RIGHT_HALF = (
    75_038, 74_992, 74_856, 74_630, 74_313, 73_908, 73_415, 72_835,
    72_169, 71_420, 70_590, 69_679, 68_692, 67_629, 66_494, 65_290,
    64_019, 62_684, 61_289, 59_838, 58_333, 56_778, 55_178, 53_534,
    51_853, 50_137, 48_390, 46_617, 44_821, 43_006, 41_176, 39_336,
    37_489, 35_640, 33_791, 31_947, 30_112, 28_289, 26_482, 24_694,
    22_929, 21_189, 19_478, 17_799, 16_155, 14_548, 12_980, 11_455,
    9_975, 8_540, 7_154, 5_818, 4_533, 3_300, 2_122, 998,
    -70, -1_082, -2_037, -2_935, -3_776, -4_561, -5_288, -5_959,
    -6_574, -7_134, -7_640, -8_092, -8_492, -8_840, -9_139, -9_389,
    -9_592, -9_750, -9_863, -9_935, -9_966, -9_959, -9_916, -9_838,
    -9_727, -9_585, -9_416, -9_219, -8_998, -8_755, -8_491, -8_209,
    -7_910, -7_597, -7_271, -6_935, -6_589, -6_237, -5_879, -5_517,
    -5_153, -4_788, -4_425, -4_063, -3_705, -3_351, -3_004, -2_663,
    -2_330, -2_006, -1_692, -1_388, -1_095, -814, -545, -288,
    -45, 185, 402, 605, 794, 970, 1_131, 1_280,
    1_414, 1_535, 1_644, 1_739, 1_822, 1_893, 1_952, 2_000,
    2_037, 2_063, 2_080, 2_087, 2_085, 2_075, 2_057, 2_032,
    2_001, 1_962, 1_919, 1_870, 1_817, 1_759, 1_698, 1_634,
    1_567, 1_498, 1_428, 1_356, 1_283, 1_210, 1_137, 1_064,
    991, 919, 848, 779, 711, 645, 581, 519,
    459, 401, 347, 294, 244, 197, 153, 111,
    72, 36, 2, -29, -57, -83, -106, -127,
    -146, -163, -177, -189, -200, -208, -215, -221,
    -224, -227, -228, -228, -227, -225, -222, -218,
    -213, -208, -202, -196, -190, -183, -176, -169,
    -161, -154, -147, -139, -132, -125, -117, -111,
    -104, -97, -91, -85, -79, -73, -68, -63,
    -58, -53, -49, -45, -41, -38, -35, -31,
    -29, -26, -24, -21, -19, -17, -16, -14,
    -13, -11, -10, -9, -8, -7, -7, -6,
    -5, -5, -4, -4, -3, -3, -2, -2,
    -2, -2, -1, -1, -1, -1, -1, -1,
)
# fmt: on


def prototype() -> NDArray[np.float64]:
    """Return the low-pass prototype: shape (512,), symmetric about index 256, index 0 is 0."""
    right = np.asarray(_RIGHT_HALF, dtype=np.float64) / 2.0**21
    return np.concatenate([[0.0], right[:0:-1], right])


def analysis_matrix(subbands: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the analysis filters of ISO/IEC 11172-3 (C.1.3): shape (512, len(subbands)).

    Row 0 meets the *oldest* of 512 samples.
    """
    taps = np.arange(MPEG_TAPS)[:, None]
    modulation = np.cos((2 * subbands + 1) * (taps - MPEG_SUBBANDS // 2) * np.pi / (2 * MPEG_SUBBANDS))
    # The standard flips the sign every 64 taps in the window and repeats the cosine with
    # period 64; the unfolded cosine carries the same signs by itself.
    newest_first: NDArray[np.float64] = prototype()[:, None] * modulation
    return newest_first[::-1]
