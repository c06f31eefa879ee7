"""Environment variables nobody would set on purpose: settings that can work, or an error that names the variable."""

import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.cases import cases
from worker.audio.allow_list import AllowList
from worker.audio.child_protocol import encode_settings
from worker.cli.environment import load_settings
from worker.exceptions import SettingsError
from worker.kafka.client_config import consumer_config, producer_config
from worker.settings import Settings

SECRET = "hunter2-hunter2"  # noqa: S105 -- looked for in messages
NAMES = tuple(Settings.model_fields)

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
_numbers = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["nan", "inf", "-inf", "1e400", "1e18", "0", "-1", "\uff11\uff12", "1_000", " 4 ", "0x10", "9" * 5000]
    )
)
_jsons = st.sampled_from(
    [
        "{}",
        "[]",
        "null",
        "[1]",
        "[0]",
        "[-4, 4]",
        "[16, 4, 48]",
        "[1e9]",
        "[999999999999]",
        '["/data/in"]',
        '["/data/../in"]',
        '["s3://"]',
        '{"sasl.password": "' + SECRET + '"}',
        '{"a": {"b": 1}}',
        '{"enable.auto.commit": "true"}',
        "[" * 5000,
        '["\\ud83c\\udfb5"]',
        '["\\ud83c"]',
        "{",
        f'{{"sasl.password": {SECRET}}}',
        f'["{SECRET}"',
    ]
)
_environments = st.dictionaries(st.sampled_from(NAMES), _texts | _numbers | _jsons, min_size=1, max_size=3)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the settings and the `.env` of whoever runs the tests out."""
    for name in [name for name in os.environ if name.startswith("LOSSGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(environment: Mapping[str, str]) -> Settings | None:
    """Load settings as the commands do; None where they are refused by name and without their value."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(f"LOSSGATE_{name.upper()}", value)
        try:
            return load_settings()
        except SettingsError as error:
            named = any(f"LOSSGATE_{name.upper()}" in str(error) for name in environment)
            assert named or "LOSSGATE_* variables" in str(error)
            assert SECRET not in str(error)
            return None


def check_usable(settings: Settings) -> None:
    """What was accepted can be built from, or is refused where it is built from, by name."""
    for name, value in settings:
        if isinstance(value, float):
            assert math.isfinite(value), name
    assert 0 < settings.decode_deadline_s < threading.TIMEOUT_MAX
    assert 0 < settings.drain_deadline_s < threading.TIMEOUT_MAX
    assert 0 <= settings.batch_timeout_ms * 1000 < 2**63
    assert all(bucket > 0 for bucket in settings.batch_buckets)
    assert settings.batch_buckets
    assert SECRET not in repr(settings)
    encode_settings(settings)
    for build in (consumer_config, producer_config, lambda each: AllowList(each.allowed_uri_prefixes)):
        try:
            build(settings)
        except SettingsError as error:
            assert "LOSSGATE_" in str(error)
            assert SECRET not in str(error)


@cases(100)
@given(_environments)
def test_any_environment(environment: dict[str, str]) -> None:
    """Any value of any variable."""
    if (settings := load(environment)) is not None:
        check_usable(settings)


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.annotation is float])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "1e300"])
def test_numbers_without_an_end(name: str, value: str) -> None:
    """Infinity is no deadline: what waits for it would fail, or never end."""
    assert load({name: value}) is None


@pytest.mark.parametrize("value", ["[]", "[0]", "[-4]", "[4, 0]", "[1000000000]", "4", "[4.5]", '["x"]', "[true, {}]"])
def test_buckets_that_are_none(value: str) -> None:
    """A batch of no segments, or of more than memory holds, is refused at the start and not by TensorFlow."""
    assert load({"batch_buckets": value}) is None


@pytest.mark.parametrize("name", ["kafka_properties", "schema_registry_properties"])
@pytest.mark.parametrize("value", [SECRET, f'{{"a": "{SECRET}"', f'{{"a": ["{SECRET}"]}}', f'["{SECRET}"]'])
def test_secrets_in_wrong_json_are_not_repeated(name: str, value: str) -> None:
    """A password inside JSON that can't be read stays out of the message."""
    assert load({name: value}) is None


@cases(100)
@given(st.binary(max_size=200) | st.sampled_from([b"LOSSGATE_LANES=\xff", b"\xff\xfeL\x00O\x00", b"LOSSGATE_LANES=\0"]))
def test_any_env_file(content: bytes) -> None:
    """A `.env` that is an image, of another encoding or half written is named, never a traceback."""
    Path(".env").write_bytes(content)
    try:
        check_usable(load_settings())
    except SettingsError as error:
        assert "LOSSGATE_" in str(error) or ".env" in str(error)


def test_environment_that_is_no_utf8() -> None:
    """Bytes that are no text arrive as lone surrogates; they are refused by the variable's name."""
    for name in ("kafka_group_id", "allowed_uri_prefixes", "model_dir", "deliveries_topic", "log_level"):
        settings = load({name: '["/data/\udcff"]' if name == "allowed_uri_prefixes" else "a\udcff"})
        if settings is not None:
            check_usable(settings)


def test_secrets_stay_secret() -> None:
    """Neither a print nor a dump of the settings shows what is in the properties."""
    settings = load({"kafka_properties": f'{{"sasl.password": "{SECRET}"}}'})
    assert settings is not None
    values: dict[str, Any] = settings.model_dump()
    assert isinstance(values["kafka_properties"]["sasl.password"], SecretStr)
    assert SECRET not in f"{settings} {settings!r} {values} {settings.model_dump_json()}"
