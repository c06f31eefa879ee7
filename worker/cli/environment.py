"""Settings for the commands: read from the environment, complained about in plain words."""

import logging
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableSettingError

from worker.exceptions import SettingsError
from worker.logs import configure_logging
from worker.settings import Settings


def load_settings() -> Settings:
    """Read the settings from the environment and `.env`.

    Raises:
        SettingsError: one can't be read or is out of its range; names the variable, never its value.
    """
    prefix = str(Settings.model_config["env_prefix"])
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{_variable(prefix, problem['loc'])}{problem['msg'].removeprefix('Value error, ')}."
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError("\n".join(problems)) from None
    except UnreadableSettingError as error:
        names = [name for name in Settings.model_fields if f'"{name}"' in str(error)]
        variables = ", ".join(prefix + name.upper() for name in names) or "A setting"
        raise SettingsError(f"{variables}: not valid JSON.") from None
    except RecursionError:
        raise SettingsError(f"One of the {prefix}* variables holds JSON that nests too deeply.") from None
    except UnicodeDecodeError:
        folder = Path.cwd()
        raise SettingsError(f"The file .env in {folder} is not text in UTF-8; write it anew or remove it.") from None


def _variable(prefix: str, location: tuple[int | str, ...]) -> str:
    """Name the variable at fault; nothing where several are, which the message names itself."""
    return f"{prefix}{location[0]}: ".upper() if location else ""


def configure_quiet_logging(settings: Settings) -> None:
    """Log warnings and worse, unless a level was asked for: on a terminal the results are what counts."""
    if "log_level" in settings.model_fields_set:
        configure_logging(settings.log_format, settings.log_level)
        return
    configure_logging(settings.log_format, "warning")
    # While a broker is away its client repeats itself many times a second, and librdkafka says the same once more.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
    logging.getLogger("worker.kafka.client_config").addFilter(_EachErrorOnce())


class _EachErrorOnce(logging.Filter):
    """Lets the first line of each kind of error pass."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether it is the first of its kind."""
        kind = record.msg.get("code") if isinstance(record.msg, dict) else record.getMessage()
        if kind in self._seen:
            return False
        self._seen.add(kind)
        return True
