"""What the tests of the commands share."""

import importlib.util
import logging
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

FAKE_LOSSGATE = Path(__file__).with_name("fake_lossgate.py")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep settings and `.env` of whoever runs the tests out, and give the logging back."""
    for name in [name for name in os.environ if name.startswith("LOSSGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook
    yield
    root.handlers[:], root.level, sys.excepthook = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def runner() -> CliRunner:
    """Return what runs a command inside the test."""
    return CliRunner()


@pytest.fixture
def fake() -> types.ModuleType:
    """Return the module of the fake pipeline."""
    spec = importlib.util.spec_from_file_location("fake_lossgate", FAKE_LOSSGATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_pipeline(fake: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fake in the pipeline's place."""
    monkeypatch.setitem(sys.modules, "worker.pipeline", fake.fake_module())
