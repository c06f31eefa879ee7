"""What the report says of targets and comparisons."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.policy import Verdict as Kind
from model.training import further, report_sections, targets
from model.training.evaluate import Judged
from tests.model.training.support import judged


def test_a_missed_target_says_so() -> None:
    """Guards honesty: a missed target stands out, and one without a measurement is not called met."""
    rows = targets.against([judged("reject")], [])
    lines = {line.split(" | ")[0].lstrip("| "): line for line in report_sections.targets(rows).splitlines()}
    assert "**missed**" in lines["true recordings rejected"]
    assert "1 of 1" in lines["true recordings rejected"]
    assert "not measured" in lines["AAC 256 and 320 found"]


def test_round_trips_and_true_recordings_have_tables_of_their_own() -> None:
    """Guards the matrix: a rejected decode is found, a rejected original is an error."""
    rows = targets.by_condition(
        [judged("reject", truth="mp3", condition="processed:limited"), judged("accept", condition="hard:noise")]
    )
    assert "hard:noise" not in report_sections.conditions(rows, lossy=True)
    assert "hard:noise" in report_sections.conditions(rows, lossy=False)
    assert report_sections.conditions([], lossy=True) == ""


def test_no_insert_gives_no_sentence() -> None:
    """Guards an evaluation without trials."""
    assert report_sections.localisation({"inserts": 0}) == ""


def test_decodes_of_further_recordings_have_a_row_an_encoding() -> None:
    """Guards the weak spots: what is missed of one encoding must not hide among all others."""
    found = [judged("reject", truth="mp3", name="mp3-320", track=f"test-{n}") for n in range(3)]
    missed = [judged("accept", truth="opus", name="opus-256"), judged("review", truth="opus", name="opus-256")]
    text = report_sections.further_decodes(further.decodes([*found, *missed], {}))
    assert "5 decodes of 4 clips" in text
    assert "| mp3-320 | 3 | 3 | 0 | 0 | 0 | 100.0 % |" in text
    assert "| opus-256 | 2 | 0 | 1 | 1 | 0 | 0.0 % |" in text
    assert report_sections.further_decodes(further.decodes([], {})) == ""
    assert report_sections.further_decodes(None) == ""


def test_decodes_that_equal_their_original_are_counted_among_the_missed(tmp_path: Path) -> None:
    """Guards the explanation: only what was not found, has the original's rate, and is nearly the original, counts."""
    rng = np.random.default_rng(1)
    pcm = rng.integers(-900, 900, (9_000, 2)).astype(np.int16)
    decodes = {"same": pcm[100:8_000], "coded": pcm[100:8_000] + rng.integers(-3, 4, (7_900, 2)).astype(np.int16)}
    for name, samples in {"original": pcm, **decodes, "found": pcm[5:8_000]}.items():
        np.save(tmp_path / f"{name}.npy", samples)

    def of(decision: Kind, name: str, rate_hz: int = 44_100) -> Judged:
        one = judged(decision, truth="mp3", name=name)
        item = replace(one.scored.item, rate_hz=rate_hz)
        bench = replace(one.scored.bench, items=(item,), folder=tmp_path)
        return replace(one, scored=replace(one.scored, bench=bench, item=item))

    original = replace(judged("accept").scored.bench, folder=tmp_path)
    rows = further.decodes(
        [of("accept", "same"), of("accept", "coded"), of("reject", "found"), of("review", "same", 48_000)],
        {original.track.id: original},
    )
    told = {row["name"]: row["not_found_but_nearly_lossless"] for row in rows["by_encoding"]}
    assert told == {"same": 1, "coded": 0, "found": 0}
