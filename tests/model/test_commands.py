"""What ``python -m model`` says when a step can't be taken."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.__main__ import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("truths", "--audio", "{here}", "--out", "{here}/clips"), "no sub-folders of lossless audio"),
        (
            ("decodes", "--truths", "{here}", "--out", "{here}/decodes", "--split", "validation"),
            "has no validation clips: run `python -m model truths --split validation",
        ),
        (("calibrate", "--work", "{here}", "--version", "1"), "run `python -m model train"),
    ],
)
def test_a_step_without_the_one_before_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Guards whoever retrains: a sentence that names the folder and the step, not a traceback, nor nothing at all."""
    result = CliRunner().invoke(app, [each.format(here=tmp_path) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 1
    assert said in result.output
    assert str(tmp_path) in result.output
