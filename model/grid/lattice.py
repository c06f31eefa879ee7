"""AC-3 where it leaves no holes: its coefficients lie on a lattice of known step."""

from typing import Any

import keras
import numpy as np
from keras import ops

from model.grid.constants import AC3_HOP, AC3_KBD_ALPHA, AC3_STEPS, LATTICE_BAND_EDGES
from model.grid.mdct import MDCTEvidence


@keras.saving.register_keras_serializable("lossgate")
class AC3LatticeEvidence(MDCTEvidence):
    """How near the coefficients lie to multiples of AC-3's steps.

    (b, n, 2) -> (b, HALVES, 257, BANDS, CHANNELS).  A hit is the mean of cos(2 pi X / step) over
    ``AC3_STEPS``: 1 on all lattices, 0 on average for anything else.  Unlike a hole, it
    needs no quiet quantiser: at 448 kbit/s most mantissas are too long for holes.
    It lives on the decoder's exact level; any gain afterwards ends it.
    """

    band_edges = LATTICE_BAND_EDGES
    statistics = 1
    hole_statistics = 0
    pair_scale = 0.5  # AC-3 codes (L + R) / 2 and (L - R) / 2, on the same lattice

    def __init__(self, stretches: int, **kwargs: Any) -> None:
        """Search ``stretches`` stretches of every segment."""
        super().__init__(AC3_HOP, "kbd", stretches, alpha=AC3_KBD_ALPHA, **kwargs)

    def soft_counts(self, channel: Any, level: Any, steady: Any) -> list[tuple[Any, Any]]:  # noqa: ARG002 - fixed step
        """(..., lines) -> nearness to the lattices, all lines weighing the same."""
        near = [ops.cos(channel * np.float32(2.0 * np.pi / AC3_STEPS[-1]))]
        for _ in AC3_STEPS[1:]:  # half the step is twice the angle; cosines are what this grid spends its time on
            near.append(2.0 * ops.square(near[-1]) - 1.0)
        return [(sum(near[1:], near[0]) / len(near), ops.ones_like(level))]

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return self.config_of_fixed_transform()
