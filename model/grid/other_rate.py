"""A segment at the other of both rates: what was resampled between 44.1 and 48 kHz after decoding, undone."""

from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.constants import ANALYSIS_RATES_HZ
from model.grid.sinc import HALF_SINC, sinc

_LOW, _HIGH = (rate // 300 for rate in ANALYSIS_RATES_HZ)  # 147 samples at 44.1 kHz last as long as 160 at 48
_WHOLE: Final = 4  # of those: the length is a multiple, as it was when the detector was evaluated


def _reader(taken: int, given: int) -> NDArray[np.float32]:
    """Return the matrix that makes ``given`` samples of ``taken``, whose first is 32 samples into the row."""
    times = np.arange(given) * taken / given
    rows = np.arange(taken + 2 * HALF_SINC)[:, None] - HALF_SINC
    return sinc(times - rows).astype(np.float32)


@keras.saving.register_keras_serializable("lossgate")
class OtherRate(keras.layers.Layer):
    """Read 44.1 kHz as 48 kHz and the other way round: (b, n, 2) and rates (b,) in hertz -> (b, m, 2).

    The first sample stays where it was; m is what 48 kHz leave at 44.1, for both ways.  A windowed sinc, flat to
    17 kHz; what lies above 20 kHz is not looked at and may alias.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Precompute both matrices."""
        kwargs.setdefault("dtype", "float32")
        super().__init__(trainable=False, **kwargs)
        self._down = _reader(_HIGH, _LOW)
        self._up = _reader(_LOW, _HIGH)

    def build(self, samples_shape: tuple[int | None, ...], rates_shape: tuple[int | None, ...]) -> None:
        """Nothing is trained."""
        del samples_shape, rates_shape
        self.built = True

    @staticmethod
    def length(samples: int) -> int:
        """Return m for n ``samples``."""
        return samples // (_WHOLE * _HIGH) * _WHOLE * _LOW

    def _read(self, samples: Any, matrix: NDArray[np.float32]) -> Any:
        """(b, n, 2) -> (b, length(n), 2)."""
        taken = len(matrix) - 2 * HALF_SINC
        given = matrix.shape[1]
        wanted = self.length(samples.shape[1])
        rows = -(-wanted // given)
        behind = (rows + 1) * taken - samples.shape[1] - HALF_SINC
        channels = ops.transpose(samples, (0, 2, 1))
        channels = ops.pad(channels, ((0, 0), (0, 0), (HALF_SINC, max(behind, 0))))[..., : (rows + 1) * taken]
        blocks = ops.reshape(channels, (-1, 2, rows + 1, taken))
        blocks = ops.concatenate([blocks[:, :, :-1], blocks[:, :, 1:, : 2 * HALF_SINC]], axis=-1)
        read = ops.reshape(ops.matmul(blocks, ops.convert_to_tensor(matrix)), (-1, 2, rows * given))
        return ops.transpose(read[..., :wanted], (0, 2, 1))

    def call(self, samples: Any, rates: Any) -> Any:
        """Return each row at the rate it does not have."""
        is_high = ops.reshape(ops.equal(rates, ANALYSIS_RATES_HZ[1]), (-1, 1, 1))
        return ops.where(is_high, self._read(samples, self._down), self._read(samples, self._up))

    def compute_output_shape(
        self, samples_shape: tuple[int | None, ...], rates_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """(b, n, 2) and (b,) -> (b, m, 2)."""
        del rates_shape
        samples = samples_shape[1]
        return (samples_shape[0], None if samples is None else self.length(samples), samples_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        config: dict[str, Any] = super().get_config()
        config.pop("trainable", None)
        return config
