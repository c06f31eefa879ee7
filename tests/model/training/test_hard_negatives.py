"""True recordings that fool detectors: are they what they are called?"""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from model.training import hard_negatives
from model.training.hard_negatives import KINDS

RATE_HZ = 44_100


def _track() -> NDArray[np.float32]:
    """Two seconds of noise bursts."""
    rng = np.random.default_rng(2)
    return (rng.standard_normal((2 * RATE_HZ, 2)) * 0.1).astype(np.float32)


def _power_above(pcm: NDArray[np.int16], hertz: float) -> float:
    """Share of the power above a frequency."""
    power = np.abs(np.fft.rfft(pcm[:, 0].astype(float))) ** 2
    return float(power[np.fft.rfftfreq(len(pcm), 1 / RATE_HZ) > hertz].sum() / power.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_audible_stereo_of_the_track_s_length(kind: str) -> None:
    """Guards all kinds at once: shape, type, level; only one changes the length, and says its rate."""
    pcm, rate_hz = hard_negatives.make(_track(), RATE_HZ, kind, np.random.default_rng(4))
    expected = 2 * RATE_HZ * 44_100 // 48_000 if kind == "resampled-from-48k" else 2 * RATE_HZ
    assert (pcm.dtype, rate_hz) == (np.int16, RATE_HZ)
    assert abs(len(pcm) - expected) <= 1
    assert np.abs(pcm.astype(int)).max() > 300


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_chance_gives_the_same_samples(kind: str) -> None:
    """Guards the manifest: a second run writes the same bytes."""
    first, again = (hard_negatives.make(_track(), RATE_HZ, kind, np.random.default_rng(6))[0] for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize(("kind", "edge_hz"), [("low-passed-16k", 17_500), ("low-passed-19k", 20_500)])
def test_low_passed_kinds_end_where_they_say(kind: str, edge_hz: float) -> None:
    """Guards the two kinds that look most like an encoder's cut-off."""
    pcm, _ = hard_negatives.make(_track(), RATE_HZ, kind, np.random.default_rng(1))
    assert _power_above(pcm, edge_hz) < 1e-3 < _power_above(pcm, edge_hz - 4_000)


def test_a_drum_machine_is_silent_between_hits() -> None:
    """Guards the digital silence, which dither would fill."""
    pcm, _ = hard_negatives.make(_track(), RATE_HZ, "drum-machine", np.random.default_rng(1))
    assert np.mean((pcm == 0).all(axis=1)) > 0.05


def test_eight_bit_samples_stand_on_few_levels() -> None:
    """Guards the coarse steps, which look like a quantiser's."""
    pcm, _ = hard_negatives.make(_track(), RATE_HZ, "eight-bit", np.random.default_rng(1))
    assert len(np.unique(pcm)) <= 257


def test_an_old_recording_is_mono() -> None:
    """Guards the transfer: both channels are the same but for 16-bit dither."""
    pcm, _ = hard_negatives.make(_track(), RATE_HZ, "old-recording", np.random.default_rng(1))
    assert np.abs(np.diff(pcm.astype(int), axis=1)).max() <= 2


@pytest.mark.parametrize(("tracks", "count"), [(24, 6), (24, 3)])
def test_all_kinds_come_equally_often(tracks: int, count: int) -> None:
    """Guards the figures by kind: no kind is rare, and no track has one twice."""
    dealt = [hard_negatives.deal(position, count) for position in range(tracks)]
    often = Counter(kind for kinds in dealt for kind in kinds)
    assert set(often) == set(KINDS)
    assert max(often.values()) - min(often.values()) <= 1
    assert all(len(set(kinds)) == count for kinds in dealt)


def test_an_unknown_kind_is_an_error() -> None:
    """Guards against a kind that is dealt but not made."""
    with pytest.raises(KeyError):
        hard_negatives.make(_track(), RATE_HZ, "no-such-kind", np.random.default_rng(1))
