"""What the report says of targets and comparisons."""

from model.training import further, report_sections, targets
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
    text = report_sections.further_decodes(further.decodes([*found, *missed]))
    assert "5 decodes of 4 clips" in text
    assert "| mp3-320 | 3 | 3 | 0 | 0 | 100.0 % |" in text
    assert "| opus-256 | 2 | 0 | 1 | 1 | 0.0 % |" in text
    assert report_sections.further_decodes(further.decodes([])) == ""
    assert report_sections.further_decodes(None) == ""
