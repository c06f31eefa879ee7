"""`lossgate schemas`: our Avro schemas in the registry."""

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.exit_codes import ExitCode

schemas = typer.Typer(no_args_is_help=True, help="Register the Avro schemas, or check them.")


@schemas.callback()
def _schemas() -> None:
    """Register the Avro schemas, or check them."""


@schemas.command()
def check() -> None:
    """Look whether the registry has every schema version; changes nothing.

    Exit codes:

    * 0: all are registered
    * 2: no registry is configured
    * 4: one is missing or incompatible with what is there, or the registry can't be asked
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    from worker.kafka.subjects import check_schemas  # noqa: PLC0415 -- loads Kafka's client

    is_complete = True
    for state in check_schemas(settings):
        if state.schema_id is not None:
            found = f"registered, id {state.schema_id}"
        else:
            is_complete = False
            found = "not registered" if state.is_compatible else "INCOMPATIBLE with what is registered"
        print(f"{state.subject}  {state.published.record} v{state.published.version}  {found}")
    if not is_complete:
        raise typer.Exit(ExitCode.FAILED)


@schemas.command()
def register() -> None:
    """Register every schema version under `<topic>-value`, with FULL_TRANSITIVE compatibility.

    Run again it changes nothing.
    A worker that may not register (`"auto.register.schemas": "false"` among its registry properties) needs this first.

    Exit codes:

    * 0: all are registered
    * 2: no registry is configured
    * 4: the registry refuses or can't be asked
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    from worker.kafka.subjects import register_schemas  # noqa: PLC0415 -- loads Kafka's client

    for state in register_schemas(settings):
        print(f"{state.subject}  {state.published.record} v{state.published.version}  id {state.schema_id}")
