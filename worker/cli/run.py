"""`lossgate run`: the worker."""

from worker.cli.environment import load_settings
from worker.exceptions import SettingsError
from worker.logs import configure_logging
from worker.settings import Settings


def run() -> None:
    """Run the worker: delivery events in, verdicts out, until SIGTERM or Ctrl-C.

    Settings come from the environment.
    The one that must be set is `LOSSGATE_ALLOWED_URI_PREFIXES`, the places audio may be read from.

    Exit codes:

    * 0: stopped and drained
    * 2: a setting can't work
    * 4: a fault that needs a restart
    """
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    require_allowed_prefixes(settings)
    from worker.service import run_service  # noqa: PLC0415 -- brings TensorFlow, which takes seconds

    run_service(settings)


def require_allowed_prefixes(settings: Settings) -> None:
    """Refuse to begin where no audio may be read.

    Raises:
        SettingsError: none may.
    """
    if not settings.allowed_uri_prefixes:
        raise SettingsError(
            "LOSSGATE_ALLOWED_URI_PREFIXES is not set, so no audio may be read. "
            """Set it to a JSON list of URI prefixes, such as '["s3://masters/", "/data/deliveries/"]'."""
        )
