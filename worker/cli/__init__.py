"""The `lossgate` command, one file a subcommand; Kafka and TensorFlow are imported only where they are needed."""

from worker.logs import quiet_tensorflow


def main() -> None:
    """Entry point of the `lossgate` program."""
    quiet_tensorflow()
    from worker.cli.app import app  # noqa: PLC0415 -- after the environment is set, before anything heavy

    app(prog_name="lossgate")
