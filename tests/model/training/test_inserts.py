"""A lossy stretch inside a lossless track."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.training import inserts

RATE_HZ = 8_000
START = 3 * RATE_HZ


@pytest.fixture
def track() -> NDArray[np.int16]:
    """Twelve seconds of noise, 16 bit."""
    return (np.random.default_rng(1).standard_normal((12 * RATE_HZ, 2)) * 3_000).astype(np.int16)


def test_only_the_stretch_changes_and_in_place(track: NDArray[np.int16]) -> None:
    """Guards insert_start_s: a late, quieter decode lands where its original was, at its level."""
    source = inserts.stretch(track, START, RATE_HZ)
    late = np.concatenate([np.zeros((529, 2), np.int16), (source * 0.8).astype(np.int16)])
    mixed = inserts.insert(track, late, START, RATE_HZ)
    stop = START + int(inserts.STRETCH_S * RATE_HZ)
    assert np.array_equal(mixed[:START], track[:START])
    assert np.array_equal(mixed[stop:], track[stop:])
    assert not np.array_equal(mixed[START:stop], track[START:stop])
    assert np.abs(mixed[START:stop].astype(int) - track[START:stop]).max() <= 3


def test_a_decode_that_is_too_short_is_an_error(track: NDArray[np.int16]) -> None:
    """Guards against a stretch that is silently filled with nothing."""
    with pytest.raises(ValueError, match="does not cover"):
        inserts.insert(track, inserts.stretch(track, START, RATE_HZ)[: 2 * RATE_HZ], START, RATE_HZ)


def test_delay_is_found_to_the_sample(track: NDArray[np.int16]) -> None:
    """Guards the alignment: encoder delays differ by codec and program."""
    late = np.concatenate([np.zeros((1_105, 2), np.int16), track])
    assert inserts.delay_of(late, track) == 1_105
    assert inserts.delay_of(track[200:], track) == -200


def test_joined_tracks_overlap_by_the_crossfade() -> None:
    """Guards length and level of the long track: a constant stays a constant across the seam."""
    ones = np.ones((RATE_HZ, 2), dtype=np.float32)
    joined = inserts.join([ones, ones, ones], RATE_HZ)
    assert len(joined) == 3 * RATE_HZ - 2 * 400
    assert np.allclose(joined, 1.0, atol=1e-6)
