"""What `lossgate dead-letters redrive` refuses before it asks Kafka anything."""

import pytest
from typer.testing import CliRunner

from worker.cli.app import app
from worker.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--all"),
        (["--yes"], "--all"),
        (["--all", "--reason", "undecodable", "--yes"], "excludes"),
        (["--all"], "--yes"),
        (["nonsense", "--yes"], "names no dead letter"),
        (["--source-offsets", "9-1", "--yes"], "no range"),
    ],
)
def test_what_may_be_a_slip_is_refused(runner: CliRunner, arguments: list[str], complaint: str) -> None:
    """Without a choice, with two, or unconfirmed where nobody can be asked, no broker is even looked for."""
    result = runner.invoke(app, ["dead-letters", "redrive", *arguments])
    assert result.exit_code == ExitCode.USAGE
    assert complaint in result.stderr
