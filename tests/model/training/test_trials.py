"""The trials' own arithmetic; their encoders are tested where they live."""

import numpy as np

from model.training.trials import stored


def test_sixteen_bit_samples_come_back_exactly() -> None:
    """Guards the processed originals: storing must not add a second rounding."""
    pcm = np.array([[-32_768, 32_767], [0, 1]], dtype=np.int16)
    assert np.array_equal(stored(pcm.astype(np.float32) / np.float32(32_768), deep=False), pcm)


def test_twenty_four_bit_samples_are_left_justified() -> None:
    """Guards the 24-bit items: as tensorflow-io decodes them, and full scale does not wrap around."""
    held = stored(np.array([[1.0, -1.0], [2.0**-23, 0.0]], dtype=np.float32), deep=True)
    assert held.dtype == np.int32
    assert held.tolist() == [[(2**23 - 1) * 256, -(2**31)], [256, 0]]
