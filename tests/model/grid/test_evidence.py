"""What counts as a hole, on coefficients made by hand."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.grid.evidence import BANDS, CHANNELS, HALVES, OffsetEvidence
from model.grid.lattice import AC3LatticeEvidence

_OFFSETS = 40
_LINES = 400  # a band has 45 of them at least
_LEVEL = 1_000.0  # 16-bit steps
_HERE = 17  # the offset with the holes
_EXACT, _RELATIVE = 0, 1


class _ByHand(OffsetEvidence):
    """Sees the same coefficients wherever it looks."""

    offsets = _OFFSETS
    needed = _OFFSETS

    def __init__(self, coefficients: NDArray[np.float32]) -> None:
        super().__init__(HALVES)
        self._coefficients = coefficients

    def positions(self) -> NDArray[np.float64]:
        """Spread evenly."""
        return (np.arange(_LINES) + 0.5) / _LINES

    def coefficients(self, channels: object) -> object:
        """What was given, left and right independent."""
        del channels
        return keras.ops.convert_to_tensor(self._coefficients)


def _content() -> NDArray[np.float32]:
    """Coefficients without a hole, (2, offsets, lines): all of one level, signs at random."""
    signs = np.random.default_rng(3).choice([-1.0, 1.0], (2, _OFFSETS, _LINES))
    signs[1, :, ::2] *= 0.5  # mid and side never cancel out
    return (_LEVEL * signs).astype(np.float32)


def _counts(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evidence of the first half: (statistics, offsets, BANDS, CHANNELS)."""
    samples = np.zeros((1, 8 * _OFFSETS, 2), np.float32)
    evidence = np.asarray(keras.ops.convert_to_numpy(_ByHand(coefficients)(samples)))
    assert evidence.shape == (1, 2 * HALVES, _OFFSETS + 1, BANDS, CHANNELS)
    return evidence.reshape(2, HALVES, _OFFSETS + 1, BANDS, CHANNELS)[:, 0, :-1]


def test_deep_holes_count_for_both_statistics() -> None:
    """Guards the sign of the evidence: an offset at which a third of the lines is empty stands out in every band."""
    coefficients = _content()
    coefficients[:, _HERE, ::3] = 0.2
    counts = _counts(coefficients)
    for statistic in (_EXACT, _RELATIVE):
        assert (counts[statistic, _HERE] > 4.0).all()
        assert np.delete(counts[statistic, ..., :2], _HERE, axis=0).max() < 1e-3


def test_shallow_holes_count_for_the_relative_statistic_alone() -> None:
    """Guards decodes that an equaliser followed: their holes are filled with a little of their neighbours."""
    coefficients = _content()
    coefficients[:, _HERE, ::3] = 0.05 * _LEVEL
    counts = _counts(coefficients)[..., :2]
    assert counts[_EXACT].max() < 1e-3
    assert (counts[_RELATIVE, _HERE] > 4.0).all()
    assert np.delete(counts[_RELATIVE], _HERE, axis=0).max() < 1e-3


def test_an_empty_frame_is_no_quantiser() -> None:
    """Guards drum machines: a frame that fits into the silence before a hit is nothing but holes, and counts none."""
    coefficients = _content()
    coefficients[:, _HERE] = 0.0
    counts = _counts(coefficients)[..., :2]
    assert counts.max() < 1e-3
    coefficients[:, _HERE, 1::2] = _LEVEL  # the same with sound between the holes
    assert (_counts(coefficients)[_EXACT, _HERE, :, :2] > 4.0).all()


def test_a_quiet_frame_has_no_relative_holes() -> None:
    """Guards fades and gaps: against the others' level a frame that is merely quieter looks like shallow holes."""
    coefficients = _content()
    coefficients[:, _HERE] *= 0.05
    assert _counts(coefficients)[..., :2].max() < 1e-3


def test_each_band_is_steady_or_not_by_itself() -> None:
    """Guards the reach of the gate: a cymbal that pauses must not hide the holes of a steady bass."""
    coefficients = _content()
    coefficients[:, _HERE, ::3] = 0.05 * _LEVEL
    high = slice(int(0.54 * _LINES), None)  # the last band
    coefficients[:, 3, high] *= 0.05
    relative = _counts(coefficients)[_RELATIVE, _HERE, :, :2]
    assert (relative[:-1] > 4.0).all()
    assert relative[-1].max() < 1e-3


def test_each_frame_is_weighed_by_the_level_around_it() -> None:
    """Guards frames that are followed one by one: each has a level of its own, which must not mix with another's."""
    layer = _ByHand(_content())
    levels = np.array([10.0, 1_000.0, 0.0], np.float32)[:, None, None] * np.ones(_LINES, np.float32)
    channel = levels * np.random.default_rng(8).standard_normal((3, 5, _LINES)).astype(np.float32)
    steady = np.ones(_LINES, np.float32)
    together = layer.soft_counts(channel, levels, steady)
    assert len(together) == layer.statistics
    for frame in range(3):
        alone = layer.soft_counts(channel[frame], levels[frame, 0], steady)
        for (hits, weight), (own_hits, own_weight) in zip(together, alone, strict=True):
            np.testing.assert_allclose(hits[frame], own_hits, rtol=1e-6)
            np.testing.assert_allclose(weight[frame, 0], own_weight, rtol=1e-6)
    exact = together[_EXACT][1]
    assert float(exact[1].numpy().min()) > float(exact[0].numpy().max()) > 0.0  # the louder, the more a hole is worth
    assert float(np.abs(exact[2]).max()) == 0.0


@pytest.mark.parametrize("statistic", [_EXACT, _RELATIVE])
def test_no_single_frame_decides(statistic: int) -> None:
    """Guards the sum over frames: one that is full of holes must not outweigh all others."""
    layer = _ByHand(_content())
    counts = np.array([0.0, 1.0, 400.0], np.float32)
    none, one, many = np.asarray(layer.stabilised(statistic, counts))
    assert many - none == pytest.approx(20.0, abs=0.2)
    assert one - none == pytest.approx(1.0, abs=0.2)
    assert layer.stabilised(statistic, np.array([1e-4], np.float32))[0] - none < 1e-3  # next to nothing is nothing


def test_nearness_to_a_lattice_is_added_as_it_is() -> None:
    """Guards the lattice's sign: half of all nearness is negative and has no root."""
    counts = np.array([-3.0, 0.0, 5.0], np.float32)
    np.testing.assert_array_equal(AC3LatticeEvidence(HALVES).stabilised(0, counts), counts)
