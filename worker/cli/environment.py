"""Settings for the commands: read from the environment, complained about in plain words."""

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
            f"{prefix}{'_'.join(str(part) for part in problem['loc'][:1]).upper()}: {problem['msg']}."
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError("\n".join(problems)) from None
    except UnreadableSettingError as error:
        names = [name for name in Settings.model_fields if f'"{name}"' in str(error)]
        variables = ", ".join(prefix + name.upper() for name in names) or "A setting"
        raise SettingsError(f"{variables}: not valid JSON.") from None


def configure_quiet_logging(settings: Settings) -> None:
    """Log warnings and worse, unless a level was asked for: on a terminal the results are what counts."""
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    configure_logging(settings.log_format, level)
