"""The polyphase prototype of MPEG-1 audio, layers I to III."""

import numpy as np
from numpy.typing import NDArray

from model.grid.constants import MPEG_SUBBANDS, MPEG_TAPS

# The right half of the prototype in units of 2^-21: table C.1 of ISO/IEC 11172-3 from
# index 256 on, its sign changes every 64 taps taken out.  The left half mirrors it.
_RIGHT_HALF = (
    75_038, 74_992, 74_856, 74_630, 74_313, 73_908, 73_415, 72_835, 72_169, 71_420, 70_590, 69_679, 68_692, 67_629, 66_494, 65_290,
    64_019, 62_684, 61_289, 59_838, 58_333, 56_778, 55_178, 53_534, 51_853, 50_137, 48_390, 46_617, 44_821, 43_006, 41_176, 39_336,
    37_489, 35_640, 33_791, 31_947, 30_112, 28_289, 26_482, 24_694, 22_929, 21_189, 19_478, 17_799, 16_155, 14_548, 12_980, 11_455,
    9975, 8540, 7154, 5818, 4533, 3300, 2122, 998, -70, -1082, -2037, -2935, -3776, -4561, -5288, -5959,
    -6574, -7134, -7640, -8092, -8492, -8840, -9139, -9389, -9592, -9750, -9863, -9935, -9966, -9959, -9916, -9838,
    -9727, -9585, -9416, -9219, -8998, -8755, -8491, -8209, -7910, -7597, -7271, -6935, -6589, -6237, -5879, -5517,
    -5153, -4788, -4425, -4063, -3705, -3351, -3004, -2663, -2330, -2006, -1692, -1388, -1095, -814, -545, -288,
    -45, 185, 402, 605, 794, 970, 1131, 1280, 1414, 1535, 1644, 1739, 1822, 1893, 1952, 2000,
    2037, 2063, 2080, 2087, 2085, 2075, 2057, 2032, 2001, 1962, 1919, 1870, 1817, 1759, 1698, 1634,
    1567, 1498, 1428, 1356, 1283, 1210, 1137, 1064, 991, 919, 848, 779, 711, 645, 581, 519,
    459, 401, 347, 294, 244, 197, 153, 111, 72, 36, 2, -29, -57, -83, -106, -127,
    -146, -163, -177, -189, -200, -208, -215, -221, -224, -227, -228, -228, -227, -225, -222, -218,
    -213, -208, -202, -196, -190, -183, -176, -169, -161, -154, -147, -139, -132, -125, -117, -111,
    -104, -97, -91, -85, -79, -73, -68, -63, -58, -53, -49, -45, -41, -38, -35, -31,
    -29, -26, -24, -21, -19, -17, -16, -14, -13, -11, -10, -9, -8, -7, -7, -6,
    -5, -5, -4, -4, -3, -3, -2, -2, -2, -2, -1, -1, -1, -1, -1, -1,
)


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
