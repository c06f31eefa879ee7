"""The command line as a whole: help, version, start-up time, refusals."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from worker import __version__
from worker.cli.app import app
from worker.cli.exit_codes import MEANINGS, ExitCode
from worker.cli.terminal import probability_text

COMMANDS = ("run", "check", "submit", "verdicts", "topics create", "schemas check", "schemas register")


def test_help_names_every_command(runner: CliRunner) -> None:
    """`lossgate --help` says what there is."""
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command.split()[0] in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_documents_its_exit_codes(runner: CliRunner, command: str) -> None:
    """The exit codes can be looked up where one types."""
    result = runner.invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Exit codes:" in result.stdout
    assert "2: " in result.stdout


def test_version(runner: CliRunner) -> None:
    """`--version` prints name and version."""
    assert runner.invoke(app, ["--version"]).stdout == f"lossgate {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    """Help comes at once: TensorFlow, Keras and Kafka's client take seconds to load and are left alone."""
    program = (
        "import sys\n"
        "from worker.cli import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print({'tensorflow', 'keras', 'confluent_kafka'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "set()\n"


def test_run_refuses_without_places_to_read_from(runner: CliRunner) -> None:
    """The worker does not start with an empty allow-list; it says what to set, with an example."""
    result = runner.invoke(app, ["run"])
    assert result.exit_code == ExitCode.USAGE
    assert "LOSSGATE_ALLOWED_URI_PREFIXES" in result.stderr
    assert "s3://masters/" in result.stderr


def test_every_exit_code_is_explained() -> None:
    """No exit code goes undocumented."""
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(None, "-"), (0.0, "0.000"), (1.0, "1.000"), (0.99999, "0.999"), (0.00001, "0.001"), (0.5, "0.500")],
)
def test_probability_is_not_rounded_to_certainty(probability: float | None, expected: str) -> None:
    """What is not quite certain is not shown as certain."""
    assert probability_text(probability) == expected


def test_fault_of_ours_does_not_look_like_a_rejected_file() -> None:
    """Python ends with 1 on an exception nobody caught; here that would say "rejected"."""
    program = (
        "import sys, types\n"
        "broken = types.ModuleType('worker.pipeline')\n"
        "broken.open_pipeline = lambda settings, **_: 1 / 0\n"
        "sys.modules['worker.pipeline'] = broken\n"
        "from worker.cli import main\n"
        "sys.argv[1:] = ['check', 'x.flac']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == ExitCode.FAILED
    assert done.stdout == ""
    assert "ZeroDivisionError" in done.stderr
