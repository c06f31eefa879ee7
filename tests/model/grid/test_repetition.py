"""Sound that repeats itself every few frames proves no grid; music, which never quite does, is heard."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.constants import SEGMENT_SAMPLES
from model.grid.grids import evidence_layers
from model.grid.names import GRIDS
from model.grid.repetition import Repetition, SaysNewThings, whole_frames
from tests.model.grid.drum_machine import drum_machine

_TIME = np.arange(SEGMENT_SAMPLES)


def _says_new_things(apart: int, wave: NDArray[np.float64]) -> bool:
    """What the layer says of a wave in [-1, 1], rounded to 16 bit, alike in both channels."""
    samples = (np.round(32_767.0 * wave) / 32_768.0).astype(np.float32)
    return bool(np.asarray(SaysNewThings(apart)(np.stack([samples, samples], axis=1)[None]))[0])


def test_lengths_are_whole_frames_of_a_thousand_samples_or_more() -> None:
    """Guards what is compared: a note of 100 Hz changes little in a short block, and would pass for a repetition."""
    lengths = {grid: whole_frames(layer) for grid, layer in evidence_layers(0.0).items()}
    assert set(lengths) == set(GRIDS)
    assert min(lengths.values()) >= 1_024
    assert (lengths["aac"], lengths["aac_short"], lengths["mp3"], lengths["mp2"]) == (1_024, 1_024, 1_152, 1_024)
    assert (lengths["opus_44k1"], lengths["opus_48k"], lengths["aac_resampled"]) == (1_764, 1_920, 1_024)


@pytest.mark.parametrize("period", [8, 48, 64, 256, 1_024])
def test_tones_whose_period_divides_a_few_frames_say_nothing_new(period: int) -> None:
    """Guards test tones and chip sounds: a square of 64 samples stood at 8,312 sigma in AAC's short blocks."""
    phase = _TIME % period / period
    noise = np.random.default_rng(3).uniform(-1.0, 1.0, (2, SEGMENT_SAMPLES)).sum(axis=0) / 65_536.0
    for wave in (np.sin(2.0 * np.pi * phase), np.where(phase < 0.5, 1.0, -1.0), 2.0 * phase - 1.0):
        assert not _says_new_things(1_024, 0.3 * wave)
        assert not _says_new_things(1_024, 0.3 * wave + noise)  # dithered


def test_other_tones_music_and_silence_are_heard() -> None:
    """Guards decodes: what only resembles a repetition keeps its evidence; silence has none to lose."""
    assert _says_new_things(1_024, drum_machine(24, 2)[:SEGMENT_SAMPLES, 0].astype(np.float64))
    assert _says_new_things(1_024, 0.3 * np.sin(2.0 * np.pi * 0.012_34 * _TIME) * np.exp(-(_TIME % 22_050) / 4_000.0))
    assert _says_new_things(1_024, 0.1 * np.random.default_rng(4).standard_normal(SEGMENT_SAMPLES).clip(-9.0, 9.0))
    assert _says_new_things(1_024, np.zeros(SEGMENT_SAMPLES))


def test_each_row_is_judged_by_itself_and_loses_all_its_scores() -> None:
    """Guards batches: one track's test tone must not silence another's segment."""
    tone = np.sin(2.0 * np.pi * _TIME / 64)
    noise = 0.1 * np.random.default_rng(5).standard_normal(SEGMENT_SAMPLES)
    rows = np.stack([np.stack([wave, wave], axis=1) for wave in (tone, noise)]).astype(np.float32)
    scores = keras.ops.convert_to_tensor(np.ones((2, 1, 2, 5), np.float32))
    layer = evidence_layers(0.0)["aac"]
    kept = np.asarray(Repetition().where_new(layer, keras.ops.convert_to_tensor(rows), scores))
    assert not kept[0].any()
    assert (kept[1] == 1.0).all()
