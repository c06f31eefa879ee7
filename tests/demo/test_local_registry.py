"""Fetching the local registry: nothing but the archive that is expected is ever unpacked."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from demo.registry.local_registry import LocalRegistryError, unpack


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Archive of one file."""
    (tmp_path / "runner.jar").write_bytes(b"jar")
    path = tmp_path / "registry.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "runner.jar", "runner.jar")
    return path


def test_the_expected_archive_is_unpacked(archive: Path, tmp_path: Path) -> None:
    """What has the right checksum is there afterwards."""
    unpack(archive, tmp_path / "out", hashlib.sha256(archive.read_bytes()).hexdigest())
    assert (tmp_path / "out" / "runner.jar").read_bytes() == b"jar"


def test_another_archive_is_not_unpacked(archive: Path, tmp_path: Path) -> None:
    """A changed or torn download runs nowhere."""
    with pytest.raises(LocalRegistryError, match="not the archive expected"):
        unpack(archive, tmp_path / "out", "00" * 32)
    assert not (tmp_path / "out").exists()
