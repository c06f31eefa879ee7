"""Opus delivered at 44.1 kHz, its frames beginning anywhere between two samples.

20 ms are 882 samples at 44.1 kHz, but where in between they begin depends on the encoder's delay and on what was cut
off at 48 kHz before the resampling.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.angles import AngleEvidence
from model.grid.celt_kernel import POSITIONS, kernel
from model.grid.constants import CELT_HOP_AT_44K1, CELT_STEP, PHASES_A_SAMPLE


@keras.saving.register_keras_serializable("lossgate")
class ResampledCeltEvidence(AngleEvidence):
    """Holes of CELT's 20 ms MDCT at every fortieth of a sample: (b, n, 2) -> (b, HALVES, 882 * 40 + 1, 1, 1)."""

    offsets = CELT_HOP_AT_44K1 * PHASES_A_SAMPLE
    step = CELT_STEP
    even = True  # a mix with drums shows nothing of Opus where it is loudest, and all of it in between (measured)

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment, an even number."""
        super().__init__(stretches=stretches, **kwargs)
        transform = kernel()
        self._kernel = transform.real.astype(np.float32)
        self.window = len(transform)
        self.look_with(transform, POSITIONS)

    def positions(self) -> NDArray[np.float64]:
        """Return each line's frequency as a fraction of 22.05 kHz."""
        return POSITIONS

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, lines)."""
        return ops.matmul(frames, ops.convert_to_tensor(self._kernel))
