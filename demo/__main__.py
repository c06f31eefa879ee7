"""The whole way of the data on one machine: `make demo`, or `python -m demo [--keep]`.

A real Kafka, the bundled clips as delivery events, a real worker, and a table of its verdicts.
"""

import argparse
import csv
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo.jvm import LocalServerError
from demo.kafka.local_kafka import KAFKA_VERSION, LocalKafka
from demo.worker_process import WorkerDiedError, WorkerProcess
from worker.cli.environment import configure_quiet_logging
from worker.cli.json_lines import to_line, verdict_object
from worker.cli.submit import make_delivery, publish
from worker.cli.terminal import decision_text, probability_text
from worker.cli.verdict_reader import VerdictReader
from worker.exceptions import LossgateError
from worker.kafka.topic_plan import WantedTopic
from worker.kafka.topics import ensure_topics
from worker.records import Decision, Verdict
from worker.settings import Settings

_CLIPS = Path(__file__).parent / "clips"
_RUN = Path(__file__).parent.parent / "runs" / "demo"
_PARTITIONS = 4
_DEADLINE_S = 720.0  # for all verdicts, the worker's start included; three minutes on two cores with nothing else to do
_PREFIX = "LOSSGATE_"
_COLUMNS = (TextColumn("{task.description}:"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

LOSSLESS = "lossless"


class DemoError(Exception):
    """The demo can't go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A bundled clip and what is true of it."""

    path: Path
    truth: str  # LOSSLESS or the codec it went through
    bitrate: str

    @property
    def label(self) -> str:
        """The truth for the table."""
        return f"{self.truth} {self.bitrate}".strip()


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave Kafka and the worker running until Ctrl-C, to try the commands on them",
    )
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    console = Console(highlight=False)
    try:
        run(console, keep=arguments.keep)
    except (DemoError, WorkerDiedError, LocalServerError, LossgateError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 130
    return 0


def run(console: Console, *, keep: bool) -> None:
    """Start everything, judge the clips, show the verdicts, stop everything."""
    started = time.monotonic()
    clips = read_clips()
    _RUN.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lossgate-demo-")))
        with step(console, f"Apache Kafka {KAFKA_VERSION} starts (its jars are fetched the first time)"):
            kafka = stack.enter_context(LocalKafka())
        use_settings(kafka.bootstrap_servers)
        settings = Settings(_env_file=None)
        configure_quiet_logging(settings)
        names = (settings.deliveries_topic, settings.verdicts_topic, settings.dead_letters_topic)
        wanted = [WantedTopic(name, _PARTITIONS) for name in names]
        ensure_topics(settings, [*wanted, WantedTopic(settings.retries_topic, 1)])
        worker = stack.enter_context(WorkerProcess(os.environ, _RUN / "worker.log", folder))
        with step(console, f"{len(clips)} delivery events go into {settings.deliveries_topic}"):
            waiting = submit_clips(clips, settings)
        verdicts = collect(console, waiting, settings, worker)
        if not keep:
            with step(console, "The worker drains and stops"):
                code = worker.stop()
            if code:
                raise DemoError(f"the worker ended with code {code}. The end of its log:\n{worker.tail()}")

        lines = _RUN / "verdicts.jsonl"
        lines.write_text("".join(to_line(verdict_object(verdict)) + "\n" for _clip, verdict in verdicts))
        console.print()
        console.print(table_of(verdicts))
        console.print(f"\n{summary_of(verdicts)}  {time.monotonic() - started:.0f} s in all.\n")
        print_where_to_read(console, lines, kafka.bootstrap_servers if keep else None)
        with suppress(KeyboardInterrupt):  # how one ends it, once the table is there
            while keep:
                worker.check()
                time.sleep(0.5)


def read_clips() -> list[Clip]:
    """Read what clips there are and what is true of them."""
    with (_CLIPS / "truth.csv").open(newline="", encoding="utf-8") as file:
        return [Clip(_CLIPS / row["file"], row["truth"], row["bitrate"]) for row in csv.DictReader(file)]


def use_settings(bootstrap_servers: str) -> None:
    """Put the demo's settings into the environment, for this process and the worker, in place of the user's own."""
    for name in [name for name in os.environ if name.startswith(_PREFIX) and name != "LOSSGATE_CACHE"]:
        del os.environ[name]
    os.environ.update(
        {
            "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "LOSSGATE_ALLOWED_URI_PREFIXES": f'["{_CLIPS}/"]',
            "LOSSGATE_HEALTH_HOST": "127.0.0.1",
            "LOSSGATE_HEALTH_PORT": "0",
            "LOSSGATE_LOG_FORMAT": "json",
        }
    )


def submit_clips(clips: list[Clip], settings: Settings) -> dict[str, Clip]:
    """Publish an event for each clip; returns the clips by delivery id."""
    deliveries = {
        delivery.delivery_id: (delivery, clip)
        for clip in clips
        for delivery in [make_delivery(str(clip.path), provider="demo", delivery_id=clip.path.stem)]
    }
    for receipt in publish([delivery for delivery, _clip in deliveries.values()], settings):
        if receipt.error is not None:
            raise DemoError(f"Kafka did not take the event of {receipt.delivery.delivery_id}: {receipt.error}")
    return {delivery_id: clip for delivery_id, (_delivery, clip) in deliveries.items()}


def collect(
    console: Console, waiting: dict[str, Clip], settings: Settings, worker: WorkerProcess
) -> list[tuple[Clip, Verdict]]:
    """Read verdicts until every clip has one; returns them in the clips' order."""
    found: dict[str, Verdict] = {}
    deadline = time.monotonic() + _DEADLINE_S
    with VerdictReader(settings) as reader, Progress(*_COLUMNS, console=console) as bar:
        task = bar.add_task("The worker loads its network", total=len(waiting))
        reader.start_at_beginning()
        while len(found) < len(waiting):
            worker.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"only {len(found)} of {len(waiting)} clips were judged within {_DEADLINE_S:.0f} s. "
                    f"The end of the worker's log:\n{worker.tail()}"
                )
            if (message := reader.poll()) is None:
                continue
            verdict = message[1]
            found.setdefault(verdict.delivery.delivery_id, verdict)
            bar.update(task, completed=len(found), description="The worker judges")
        bar.update(task, description="All are judged")
    return [(clip, found[delivery_id]) for delivery_id, clip in waiting.items()]


def table_of(verdicts: list[tuple[Clip, Verdict]]) -> Table:
    """Lay out what is true and what the worker said."""
    table = Table(box=None, pad_edge=False)
    for name in ("File", "Truth", "Decision"):
        table.add_column(name)
    table.add_column("Probability", justify="right")
    table.add_column("Codec")
    for clip, verdict in verdicts:
        judgement = verdict.judgement
        table.add_row(
            clip.path.name,
            clip.label,
            decision_text(judgement.decision.value.lower()),
            probability_text(judgement.probability),
            Text(" ".join(part for part in (judgement.codec, judgement.bitrate_class) if part) or "-"),
        )
    return table


def summary_of(verdicts: list[tuple[Clip, Verdict]]) -> str:
    """Count what was right, wrong, and left to a person."""
    review = sum(verdict.judgement.decision is Decision.REVIEW for _clip, verdict in verdicts)
    right = sum(
        verdict.judgement.decision is (Decision.ACCEPT if clip.truth == LOSSLESS else Decision.REJECT)
        for clip, verdict in verdicts
    )
    return f"{right} of {len(verdicts)} right, {len(verdicts) - right - review} wrong, {review} left to a person."


def print_where_to_read(console: Console, lines: Path, bootstrap_servers: str | None) -> None:
    """Say where the verdicts are, and how to read them again."""
    shown = os.path.relpath(lines)
    text = [
        f"The verdicts with all their evidence: {shown}",
        f"  read them again:  {os.path.relpath(sys.executable)} -m json.tool --json-lines {shown} | less",
    ]
    if bootstrap_servers is None:
        text.append("Kafka and the worker are stopped; `make demo KEEP=1` leaves them running to try the commands on.")
    else:
        lossgate = os.path.relpath(Path(sys.executable).with_name("lossgate"))
        server = f"LOSSGATE_KAFKA_BOOTSTRAP_SERVERS={bootstrap_servers}"
        text += [
            "",
            "Kafka and the worker go on until Ctrl-C. In another terminal:",
            f"  {server} {lossgate} verdicts --follow",
            f"  {server} {lossgate} submit {os.path.relpath(_CLIPS)}",
        ]
    console.print("\n".join(text), markup=False, soft_wrap=True)


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Show what is being done, and how long it took."""
    started = time.monotonic()
    with console.status(what + " …"):
        yield
    console.print(f"{what}: {time.monotonic() - started:.1f} s", markup=False)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
