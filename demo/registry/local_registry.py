"""Apicurio Registry (one JVM, in memory) from Maven Central, with Confluent's API, for the tests.

    with LocalRegistry() as registry:
        ... registry.url ...

The archive (142 MB) is fetched once, checked against its SHA-256 and unpacked into
`.cache/registry-<version>/` of the repository (or of `$LOSSGATE_CACHE`).
2.6 is the last line that runs on the Java 17 that Kafka needs too.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.jvm import HOST, LocalServerError, dies_with_parent, fetched_once, free_port, run_maven, tail

REGISTRY_VERSION = "2.6.13.Final"
ARCHIVE_SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"

_ARTIFACT = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_RUNNER = f"apicurio-registry-app-{REGISTRY_VERSION}-runner.jar"
_START_DEADLINE_S = 120.0


class LocalRegistryError(LocalServerError):
    """The local registry can't run here; the message says why and what to do."""


class LocalRegistry:
    """One registry in one JVM.  A context manager; what it holds is gone with it.

    The JVM dies with the thread that called `start`, so start it from a thread that lives as long as it is needed.

    Args:
        port: port to listen on; a free one by default.
        cache: folder of the unpacked archive; `$LOSSGATE_CACHE` or `.cache` in the repository by default.
        heap: largest heap of the JVM.
    """

    def __init__(self, *, port: int | None = None, cache: Path | None = None, heap: str = "320m") -> None:
        self._port = port if port is not None else free_port()
        self._cache = cache
        self._heap = heap
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the API that Confluent's clients speak."""
        return f"http://{HOST}:{self._port}/apis/ccompat/v7"

    @property
    def log(self) -> str:
        """What the registry has written so far."""
        path = None if self._folder is None else self._folder / "output.log"
        return path.read_text(errors="replace") if path is not None and path.exists() else ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            LocalRegistryError: it can't be had, or does not answer.
        """
        program = fetch_registry(self._cache)
        self._folder = Path(tempfile.mkdtemp(prefix="lossgate-registry-"))
        with (self._folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                dies_with_parent(self._java(program)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._process)

    def pause(self) -> None:
        """Let it hang: connections are taken by the kernel, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End what `pause` began."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the JVM and remove its folder."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _java(self, program: Path) -> list[str]:
        return [
            "java",
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",  # two cores are shared with the broker, the worker and the tests
            "-XX:TieredStopAtLevel=1",  # lives for minutes: a quick start counts more than top speed
            "-Xshare:auto",
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={self._port}",
            "-jar",
            str(program),
        ]

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LocalRegistryError(f"The registry ended while starting:\n{tail(self.log)}")
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/subjects", timeout=5),  # noqa: S310 -- our own address
            ):
                return
            time.sleep(0.1)
        raise LocalRegistryError(f"The registry did not answer within {_START_DEADLINE_S:.0f} s:\n{tail(self.log)}")


def fetch_registry(cache: Path | None = None) -> Path:
    """Fetch the registry if it isn't here yet, check it, and return the jar that starts it.

    Raises:
        LocalRegistryError: Java or Maven is missing, the download failed, or it isn't the one expected.
    """
    return fetched_once(f"registry-{REGISTRY_VERSION}", _download, cache) / _RUNNER


def _download(folder: Path) -> None:
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise LocalRegistryError(
            "The local registry needs Java and Maven: apt-get install openjdk-17-jdk-headless maven"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent) as download:
        copy = [_COPY, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={download}"]
        is_done, last_lines = run_maven(copy, Path(download))
        if not is_done:
            raise LocalRegistryError(f"Maven could not fetch {_ARTIFACT}:\n{last_lines}")
        unpack(Path(download) / f"apicurio-registry-app-{REGISTRY_VERSION}-all.tar.gz", folder, ARCHIVE_SHA256)


def unpack(archive: Path, folder: Path, sha256: str) -> None:
    """Unpack an archive that is the one expected.

    Raises:
        LocalRegistryError: it is another.
    """
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise LocalRegistryError(f"{archive.name} is not the archive expected (SHA-256 {found}); nothing was unpacked.")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
