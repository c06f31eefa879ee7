"""DTS Coherent Acoustics: 32 subbands of a filter bank with 512 taps."""

import keras
import numpy as np
from numpy.typing import NDArray

from model.grid.constants import DTS_SUBBANDS, DTS_TAPS
from model.grid.filter_bank import FilterBankEvidence

_FRAME = 1_024  # samples: two of DTS' shortest frames, which no offset depends on
# The prototype is a sum of so many cosines of 0, 1, 2, ... periods in 512 taps.  These reproduce the table of the
# non-perfect reconstruction filter (ETSI TS 102 114, annex D) to 8e-6 of its largest tap.  The other table's filter
# correlates with it to 0.994.
_COSINES = (1.0, 2.000_074, 1.992_563, 1.878_718, 1.414_299, 0.685_909, 0.173_154, 0.015_458)


@keras.saving.register_keras_serializable("lossgate")
class DTSEvidence(FilterBankEvidence):
    """Holes of DTS' quantised subband samples: (b, n, 2) -> (b, HALVES, 33, BANDS, CHANNELS).

    Zero is a level of all its quantisers.  At 768 kbit/s the steps are too fine for holes but above some 13 kHz, where
    half the samples are zero (measured), so that is where it is looked for.
    """

    offsets = DTS_SUBBANDS
    frame = _FRAME
    statistics = 1
    hole_statistics = 1
    taps = DTS_TAPS
    subbands = np.arange(20, 28)
    band_edges = (0.625, 0.6875, 0.75, 0.8125, 0.875)
    window = _FRAME + DTS_TAPS - DTS_SUBBANDS
    stride = _FRAME // DTS_SUBBANDS
    needed = _FRAME + DTS_TAPS - 1

    def filters(self) -> NDArray[np.float64]:
        """Return the filters of a cosine-modulated bank, oldest sample first: (512, subbands)."""
        centred = (np.arange(DTS_TAPS) - (DTS_TAPS - 1) / 2)[:, None]
        prototype = np.cos(2.0 * np.pi / DTS_TAPS * centred * np.arange(len(_COSINES))) @ _COSINES
        phase = (2 * self.subbands + 1) * centred * np.pi / (2 * DTS_SUBBANDS)
        modulated: NDArray[np.float64] = prototype[:, None] * np.cos(phase + (-1.0) ** self.subbands * np.pi / 4)
        return modulated
