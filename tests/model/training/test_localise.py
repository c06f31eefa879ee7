"""Which segments an insert is blamed on."""

from model.constants import SEGMENT_SAMPLES
from model.training.bench import Item
from model.training.localise import overlapping

_SEGMENT_S = SEGMENT_SAMPLES / 44_100


def _insert(start_s: float, seconds: float) -> Item:
    return Item(
        "a.npy", "mp3", "mp3", 320.0, "", 44_100, condition="insert", insert_start_s=start_s, insert_seconds=seconds
    )


def test_a_segment_is_blamed_when_half_of_it_is_lossy() -> None:
    """Guards the hit rate: a segment that the insert only touches proves nothing."""
    assert overlapping(_insert(1.2 * _SEGMENT_S, 1.7 * _SEGMENT_S), 6) == [1, 2]
    assert overlapping(_insert(1.6 * _SEGMENT_S, 1.0 * _SEGMENT_S), 6) == [2]
    assert overlapping(_insert(5.9 * _SEGMENT_S, 1.0 * _SEGMENT_S), 6) == []
