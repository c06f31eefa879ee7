"""The `lossgate` command, one file a subcommand; Kafka and TensorFlow are imported only where they are needed."""

import sys

from worker.logs import quiet_tensorflow


def main() -> None:
    """Entry point of the `lossgate` program."""
    quiet_tensorflow()
    from worker.cli.app import app  # noqa: PLC0415 -- after the environment is set, before anything heavy
    from worker.cli.exit_codes import ExitCode  # noqa: PLC0415

    try:
        app(prog_name="lossgate")
    except Exception:  # noqa: BLE001 -- a fault of ours must not end with Python's 1, which says "rejected"
        sys.excepthook(*sys.exc_info())
        sys.exit(ExitCode.FAILED)
