"""The table of targets and the condition matrix."""

from collections.abc import Sequence

from model.training import targets
from model.training.evaluate import Judged
from tests.model.training.support import judged


def _row(items: Sequence[Judged], measure: str, further: Sequence[Judged] = ()) -> dict[str, object]:
    (row,) = [row for row in targets.against(items, further) if str(row["measure"]).startswith(measure)]
    return row


def test_a_share_of_found_is_held_against_its_least() -> None:
    """Guards the direction: 98 of 100 found is short of 99 %, and nothing measured is neither met nor missed."""
    mp3 = {"truth": "mp3", "name": "mp3-libmp3lame-320"}
    items = [judged("reject", **mp3) for _ in range(98)] + [judged("review", **mp3) for _ in range(2)]
    row = _row(items, "MP3 320")
    assert (row["hits"], row["n"], row["met"]) == (98, 100, False)
    assert _row(items + [judged("reject", **mp3) for _ in range(200)], "MP3 320")["met"] is True
    assert _row(items, "AAC 256")["met"] is None


def test_true_recordings_count_wherever_they_come_from() -> None:
    """Guards the false rejections: those of trials and of further recordings must not be lost."""
    bench = [judged("accept") for _ in range(8)]
    hard = [judged("reject", condition="hard:noise"), judged("review", condition="hard:noise")]
    further = [judged("reject", group="other")]
    row = _row([*bench, *hard], "true recordings", further)
    assert (row["hits"], row["n"], row["met"]) == (2, 11, False)
    assert (_row([*bench, *hard], "hard negatives")["hits"], _row([*bench, *hard], "hard negatives")["n"]) == (1, 2)


def test_a_processed_decode_is_found_by_a_review_too() -> None:
    """Guards what the target says: found or reviewed; an original after the same chain is no hit."""
    chain = "processed:limited"
    items = [
        judged("reject", truth="aac", name="aac-aac-256+limited", condition=chain),
        judged("review", truth="aac", name="aac-aac-256+limited", condition=chain),
        judged("accept", truth="aac", name="aac-aac-256+limited", condition=chain),
        judged("review", truth="variant", name="original+limited", condition=chain),
    ]
    row = _row(items, "processed")
    assert (row["hits"], row["n"]) == (2, 3)
    (lossy,) = [row for row in targets.by_condition(items) if row["lossy"]]
    assert (lossy["reject"], lossy["review"], lossy["accept"]) == (1, 1, 1)


def test_a_bitrate_class_may_be_one_step_off() -> None:
    """Guards the measure: the neighbour counts, the next but one does not, and what is not rejected is not asked."""
    base = {"truth": "mp3", "name": "mp3-libmp3lame-320"}
    items = [
        judged("reject", **base, bitrate_class="GT_288"),
        judged("reject", **base, bitrate_class="LE_288"),
        judged("reject", **base, bitrate_class="LE_160"),
        judged("review", **base, bitrate_class="LE_96"),
    ]
    row = _row(items, "bitrate class")
    assert (row["hits"], row["n"]) == (2, 3)


def test_a_group_counts_once() -> None:
    """Guards the interval by group: two rejections in one pack are one group."""
    items = [judged("reject", group="a"), judged("reject", group="a"), judged("accept", group="b")]
    found = targets.groups_with_a_false_rejection(items)
    assert (found["groups"], found["with_a_false_rejection"]) == (2, 1)
