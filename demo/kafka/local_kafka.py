"""Apache Kafka (KRaft, one JVM) from Maven Central artifacts, for the demo and the tests.

    with LocalKafka() as kafka:
        kafka.create_topics("lossgate.deliveries", partitions=4)
        ... kafka.bootstrap_servers ...

The jars are fetched once into `.cache/kafka-<version>/` of the repository (or of `$LOSSGATE_CACHE`)
and checked against `jars.sha256` before every start.
After a change of versions in `pom.xml`: delete that folder, run `python -m demo.kafka.local_kafka`,
look at what it prints, and put it into `jars.sha256`.
"""

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from demo.jvm import HOST, LocalServerError, dies_with_parent, fetched_once, free_port, run_maven, run_to_end, tail

KAFKA_VERSION = "4.2.1"  # the one in pom.xml

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parent.parent
_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 20.0

_LOG4J2 = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <File name="file" fileName="{log}">
      <PatternLayout pattern="%d{{ISO8601}} %p %c: %m%n"/>
    </File>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


class LocalKafkaError(LocalServerError):
    """The local Kafka can't run here; the message says why and what to do."""


class LocalKafka:
    """One Kafka broker with its controller in one JVM.  A context manager; data live in a temporary folder.

    The JVM dies with the thread that called `start`, so start it from a thread that lives as long as it is needed.

    Args:
        port: port to listen on; a free one by default.
        properties: broker properties over the ones below.
        cache: folder of the jars; `$LOSSGATE_CACHE` or `.cache` in the repository by default.
        heap: largest heap of the JVM.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        cache: Path | None = None,
        heap: str = "512m",
    ) -> None:
        self._port = port if port is not None else free_port()
        self._controller_port = free_port(but=self._port)
        self._properties = dict(properties or {})
        self._cache = cache
        self._heap = heap
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._classpath = ""
        self._terminate_before: signal.Handlers | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients; stays the same over `kill` and `restart`."""
        return f"{HOST}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the JVM is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The broker's log so far."""
        if self._folder is None:
            return ""
        parts = (self._folder / name for name in ("output.log", "kafka.log"))
        return "".join(part.read_text(errors="replace") for part in parts if part.exists())

    def __enter__(self) -> Self:
        self._catch_terminate()
        try:
            self.start()
        except BaseException:
            self.stop()
            self._release_terminate()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._release_terminate()

    def start(self) -> None:
        """Start and wait until it answers; on the data of the last run where there are some."""
        if self.running:
            return
        self._classpath = ":".join(str(jar) for jar in fetch_jars(self._cache))
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lossgate-kafka-"))
            self._configure(self._folder)
            self._format(self._folder)
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                dies_with_parent(self._java("kafka.Kafka", str(self._folder / "server.properties"))),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the JVM
            )
        self._wait_until_it_answers(self._process)

    def kill(self) -> None:
        """End the JVM at once, as a power cut would.  The data stay."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def shut_down(self) -> None:
        """End the JVM in order.  The data stay."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_DEADLINE_S)
            self.kill()

    def restart(self) -> None:
        """Shut down in order if still running, then start on the same data and port."""
        self.shut_down()
        self.start()

    def stop(self) -> None:
        """End the JVM and remove the data."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def create_topics(self, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Create topics and wait until they exist.

        Raises:
            LocalKafkaError: one could not be created.
        """
        topics = [
            NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {})) for name in names
        ]
        admin = self._admin()  # held: futures of a client that is collected fail
        for name, future in admin.create_topics(topics).items():
            try:
                future.result(30)
            except KafkaException as error:
                raise LocalKafkaError(f"Topic {name} could not be created: {error}") from error

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def _java(self, *arguments: str) -> list[str]:
        assert self._folder is not None  # noqa: S101 -- set before every call
        return [
            "java",
            f"-Xmx{self._heap}",
            "-Xms64m",
            "-XX:+UseSerialGC",  # two cores are shared with the worker and the tests
            "-XX:TieredStopAtLevel=1",  # lives for minutes: a quick start counts more than top speed
            "-Xshare:auto",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}",
            "-cp",
            self._classpath,
            *arguments,
        ]

    def _configure(self, folder: Path) -> None:
        controller = f"{HOST}:{self._controller_port}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": controller,
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "data"),
            "auto.create.topics.enable": "false",
            # One node keeps one copy; one partition of each internal topic starts soonest.
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            # Let tests wait seconds, not minutes, for what a dead member or producer leaves behind.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.heartbeat.interval.ms": "200",
            "group.consumer.heartbeat.interval.ms": "500",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            # After `kill` the controller has to forget the old broker before it takes the new one.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "controlled.shutdown.enable": "false",
            **self._properties,
        }
        lines = "".join(f"{name}={value}\n" for name, value in properties.items())
        (folder / "server.properties").write_text(lines)
        (folder / "log4j2.xml").write_text(_LOG4J2.format(log=folder / "kafka.log"))

    def _format(self, folder: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
        is_done, last_lines = run_to_end(
            self._java(
                *("kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", cluster),
                *("--config", str(folder / "server.properties")),
            ),
            _START_DEADLINE_S,
        )
        if not is_done:
            raise LocalKafkaError(f"Kafka could not format its storage:\n{last_lines}")

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_DEADLINE_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LocalKafkaError(f"Kafka ended while starting (code {process.returncode}):\n{tail(self.log)}")
            # A bare connection first: librdkafka backs off from a port that is closed.
            with contextlib.suppress(OSError), socket.create_connection((HOST, self._port), timeout=1):
                break
            time.sleep(0.05)
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LocalKafkaError(f"Kafka ended while starting (code {process.returncode}):\n{tail(self.log)}")
            with contextlib.suppress(KafkaException):
                if self._admin().list_topics(timeout=2).brokers:
                    return
            time.sleep(0.05)
        last_lines = tail(self.log)
        self.kill()
        raise LocalKafkaError(f"Kafka did not answer within {_START_DEADLINE_S:.0f} s:\n{last_lines}")

    def _catch_terminate(self) -> None:
        """Let SIGTERM unwind the stack, so that `__exit__` runs, where nobody else handles it."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._terminate_before = signal.SIG_DFL
            signal.signal(signal.SIGTERM, _exit_on_signal)

    def _release_terminate(self) -> None:
        if self._terminate_before is not None and signal.getsignal(signal.SIGTERM) is _exit_on_signal:
            signal.signal(signal.SIGTERM, self._terminate_before)
        self._terminate_before = None


def fetch_jars(cache: Path | None = None) -> list[Path]:
    """Fetch Kafka's jars if they aren't here yet, check them, and return their paths.

    Raises:
        LocalKafkaError: Java or Maven is missing, the download failed, or a jar isn't the one expected.
    """
    _require("java", "openjdk-17-jdk-headless")
    return check_jars(fetched_once(f"kafka-{KAFKA_VERSION}", _download, cache))


def check_jars(folder: Path, checksums: Path = _HERE / "jars.sha256") -> list[Path]:
    """Return the jars of `folder` in order, all of them and none but those in `checksums`.

    Raises:
        LocalKafkaError: one is missing, differs or is unknown.
    """
    expected = {name: digest for digest, name in (line.split() for line in checksums.read_text().splitlines())}
    actual = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(folder.glob("*.jar"))}
    wrong = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
    if wrong:
        raise LocalKafkaError(
            f"{len(wrong)} jar(s) in {folder} are missing or not those of {checksums.name} ({', '.join(wrong[:3])}); "
            f"delete the folder to fetch them again."
        )
    return [folder / name for name in expected]


def _download(folder: Path) -> None:
    _require("mvn", "maven")
    is_done, last_lines = run_maven(
        [
            *("-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={folder}", "-DincludeScope=runtime"),
        ]
    )
    if not is_done:
        raise LocalKafkaError(f"Maven could not fetch Kafka {KAFKA_VERSION}:\n{last_lines}")


def _require(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise LocalKafkaError(
            f"The local Kafka needs `{program}` (package {package}): "
            "apt-get install openjdk-17-jdk-headless maven, or point LOSSGATE_KAFKA_BOOTSTRAP_SERVERS at a broker."
        )


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in sorted((_REPOSITORY / ".cache" / f"kafka-{KAFKA_VERSION}").glob("*.jar")):
        print(hashlib.sha256(each.read_bytes()).hexdigest(), "", each.name)
