"""The measures behind the abstention."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from model.bandwidth import measure_bandwidth_hz, segment_levels_dbfs
from model.constants import SEGMENT_SAMPLES


def _sine(hertz: float, amplitude: float = 1.0) -> NDArray[np.float32]:
    """One segment of a sine on both channels, at 44.1 kHz."""
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(SEGMENT_SAMPLES) / 44_100.0)
    return np.repeat(wave.astype(np.float32)[None, :, None], 2, axis=2)


def test_a_full_scale_sine_is_the_reference() -> None:
    """Guards the unit: 0 dB is a full-scale sine, a tenth of it -20 dB."""
    segments = np.concatenate([_sine(997.0), _sine(997.0, 0.1)])
    np.testing.assert_allclose(segment_levels_dbfs(segments), [0.0, -20.0], atol=0.01)


@pytest.mark.parametrize("edge_hz", [8_000.0, 12_000.0, 16_000.0, 19_000.0])
def test_bandwidth_of_low_passed_noise(edge_hz: float) -> None:
    """Guards the measure against the known edge of filtered noise in 16 bit."""
    noise = np.random.default_rng(5).standard_normal((SEGMENT_SAMPLES, 2)) * 0.1
    kernel = signal.firwin(1_001, edge_hz, fs=44_100, window=("kaiser", 12.0))
    filtered = signal.fftconvolve(noise, kernel[:, None], mode="same")
    pcm = np.round(filtered * 32_768) / 32_768
    assert edge_hz == pytest.approx(measure_bandwidth_hz(pcm.astype(np.float32)[None], 44_100), abs=450.0)


def test_full_band_noise_reaches_nyquist() -> None:
    """Guards against an abstention on ordinary music."""
    noise = (np.random.default_rng(6).standard_normal((1, SEGMENT_SAMPLES, 2)) * 0.1).astype(np.float32)
    assert measure_bandwidth_hz(noise, 44_100) > 21_500


def test_silence_and_nothing_have_no_bandwidth() -> None:
    """Guards the edge: digital silence and an empty list give 0 Hz, not an error or NaN."""
    assert measure_bandwidth_hz(np.zeros((2, SEGMENT_SAMPLES, 2), dtype=np.float32), 44_100) == 0.0
    assert measure_bandwidth_hz(np.zeros((0, SEGMENT_SAMPLES, 2), dtype=np.float32), 44_100) == 0.0


def test_silent_segments_do_not_dilute() -> None:
    """Guards the mean: silence beside music leaves the measured bandwidth where it was."""
    tone = _sine(9_000.0, 0.5)
    silence = np.zeros_like(tone)
    alone, beside = measure_bandwidth_hz(tone, 44_100), measure_bandwidth_hz(np.concatenate([tone, silence]), 44_100)
    assert alone == beside
    assert alone == pytest.approx(9_000.0, abs=300.0)
