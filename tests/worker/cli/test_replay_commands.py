"""`lossgate replay`: what is refused before Kafka is asked, and what is told on the way."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli.app import app
from worker.cli.replay_reporter import Reporter
from worker.replay.progress import Progress


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "r-1"], "--all"),
        (["plan", "r-1", "--to-live-topic"], "--all"),
        (["plan", "r-1", "--all", "--provider", "A"], "excludes"),
        (["plan", "live", "--all"], "can't be the id"),
        (["plan", "r-1", "--deliveries-from", "missing.txt"], "missing.txt"),
        (["plan", "r-1", "--deliveries-from", "empty.txt"], "no delivery id"),
        (["run", "r-1", "--all"], "LOSSGATE_ALLOWED_URI_PREFIXES"),
        (["diff", "r-1", "r-1"], "same"),
    ],
)
def test_what_can_not_work_is_refused_at_once(runner: CliRunner, arguments: list[str], words: str) -> None:
    """Exit code 2 and a sentence that names it; a Job that gets 2 is not tried again."""
    Path("empty.txt").write_text("\n \n", encoding="utf-8")
    result = runner.invoke(app, ["replay", *arguments])
    assert result.exit_code == 2
    assert words in result.stderr


def test_progress_is_told_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets a line every ten seconds, with what the replay waits for, and one at the end."""
    now = 0.0
    with Reporter("r-1", clock=lambda: now) as reporter:
        reporter.note(Progress(10, 100, 1.0), None)
        now = 5.0
        reporter.note(Progress(15, 100, 1.0), None)
        now = 10.0
        reporter.note(Progress(20, 100, 1.0), "live lag 9 is above 5")
        reporter.end(Progress(100, 100, 1.0))
    assert capsys.readouterr().err.splitlines() == [
        "replay r-1: 10 of 100 (10.0 %), 1/s, 1 min 30 s left",
        "replay r-1: 20 of 100 (20.0 %), 1/s, 1 min 20 s left; waiting: live lag 9 is above 5",
        "replay r-1: 100 of 100 (100.0 %), done; 90 of them in the last 10 s",
    ]
