"""`lossgate check`: judge files here and now, without Kafka."""

import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.exit_codes import ExitCode
from worker.cli.files import AudioFile, find_audio, is_uri
from worker.cli.json_lines import check_object, to_line
from worker.cli.terminal import decision_text, messages, output, path_text, probability_text
from worker.constants import MAX_WINDOWS_PER_TRACK
from worker.logs import printable
from worker.records import Decision, DetectorIdentity, Judgement

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_AHEAD_PER_LANE = 2
"""Files handed out before their turn to be printed; bounds the memory, and one slow file does not idle the others."""

_COMPILED_FROM = 10
"""Files: for fewer it costs more to compile the follower than it saves, two CPU-seconds a file (measured)."""


def check(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="FLAC or WAV files, or folders of them.", show_default=False)
    ],
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on stdout, in the order of the files.")
    ] = False,
    every_segment: Annotated[
        bool,
        typer.Option(
            "--every-segment",
            help="Listen to the whole file and search all of it, to find lossy parts; slow: a third of real time.",
        ),
    ] = False,
) -> None:
    """Judge files or folders, without Kafka.

    Folders are searched for `.flac` and `.wav` files, at any depth.
    Nothing outside the given paths is read.

    Exit codes:

    * 0: all accepted
    * 1: at least one rejected
    * 2: wrong arguments or settings
    * 3: none rejected, at least one to review (a file that is missing or broken is for review too)
    * 4: it failed
    """
    for path in paths:
        if is_uri(path):
            raise typer.BadParameter(
                f"{printable(path)}: `check` reads local files; send URIs to a worker with `submit`."
            )
    settings = load_settings()
    configure_quiet_logging(settings)
    started = time.monotonic()
    files = list(find_audio(paths))
    settings = settings.model_copy(update={"allowed_uri_prefixes": _exactly(files)})
    if every_segment:
        settings = settings.model_copy(update={"windows_per_track": MAX_WINDOWS_PER_TRACK, "searched_segments": 0})

    judged: list[tuple[AudioFile, Judgement]] = []
    decisions: Counter[Decision] = Counter()
    with _progress(len(files), shown=_progress_fits(json_lines)) as advance:
        from worker.pipeline import open_pipeline  # noqa: PLC0415 -- brings TensorFlow, which takes seconds

        with open_pipeline(settings, compile_follower=len(files) >= _COMPILED_FROM) as pipeline:
            detector = pipeline.identity
            for file, judgement in judge_in_order(files, pipeline.judge, settings.lanes, advance):
                decisions[judgement.decision] += 1
                if json_lines:
                    print(to_line(check_object(file.path, judgement, detector)), flush=True)
                else:
                    judged.append((file, judgement))
    if not json_lines:
        _print_table(judged, decisions, detector, time.monotonic() - started)
    raise typer.Exit(exit_code(decisions))


def exit_code(decisions: Counter[Decision]) -> ExitCode:
    """Sum up: one rejected file weighs more than any to review, and that more than the accepted."""
    if decisions[Decision.REJECT]:
        return ExitCode.REJECTED
    return ExitCode.REVIEW if decisions[Decision.REVIEW] else ExitCode.DONE


def judge_in_order(
    files: Iterable[AudioFile],
    judge: Callable[[str], Judgement],
    lanes: int,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[tuple[AudioFile, Judgement]]:
    """Judge several files at a time and yield them in their order.

    Args:
        files: what to judge; those with a problem are not.
        judge: judges one absolute path; called from several threads.
        lanes: files judged at the same time.
        advance: called once for each file as it is done, from any thread.
    """
    pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
    waiting: deque[tuple[AudioFile, Future[Judgement]]] = deque()
    try:
        for file in files:
            waiting.append((file, pool.submit(_judge_one, file, judge, advance)))
            if len(waiting) >= lanes * _AHEAD_PER_LANE:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        # On Ctrl-C nothing new is begun; what runs ends when the pipeline is taken down.
        pool.shutdown(wait=False, cancel_futures=True)


def _exactly(files: Iterable[AudioFile]) -> list[str]:
    """Allow nothing but these files; one with control characters in its name is refused by its own verdict."""
    return sorted({file.absolute for file in files if file.problem is None and not _CONTROL.search(file.absolute)})


def _first(waiting: deque[tuple[AudioFile, Future[Judgement]]]) -> tuple[AudioFile, Judgement]:
    file, judgement = waiting.popleft()
    return file, judgement.result()


def _judge_one(file: AudioFile, judge: Callable[[str], Judgement], advance: Callable[[], None]) -> Judgement:
    try:
        return file.problem or judge(file.absolute)
    finally:
        advance()


def _print_table(
    judged: Iterable[tuple[AudioFile, Judgement]],
    decisions: Counter[Decision],
    detector: DetectorIdentity,
    seconds: float,
) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("File", overflow="fold")
    table.add_column("Decision")
    table.add_column("Probability", justify="right")
    table.add_column("Codec")
    table.add_column("Why", overflow="fold")
    for file, judgement in judged:
        table.add_row(
            Text(path_text(file.path)),
            decision_text(judgement.decision.value.lower()),
            probability_text(judgement.probability),
            Text(" ".join(printable(part) for part in (judgement.codec, judgement.bitrate_class) if part) or "-"),
            Text(printable(judgement.detail)),
        )
    console = output()
    console.print(table)
    console.print(
        f"\n{decisions.total()} judged: {decisions[Decision.ACCEPT]} accepted, {decisions[Decision.REJECT]} rejected, "
        f"{decisions[Decision.REVIEW]} to review.  {seconds:.1f} s, "
        f"{detector.model_name} {detector.model_version}, policy {detector.policy_version}."
    )


def _progress_fits(json_lines: bool) -> bool:
    """Show a bar on a terminal only, and not in between JSON lines on that same terminal."""
    return sys.stderr.isatty() and not (json_lines and sys.stdout.isatty())


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr; yields what moves it on."""
    if not shown:
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # stdout is left alone: it may be a file or a pipe.
    with Progress(*columns, console=messages(), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("Loading the network", total=total)

        def advance() -> None:
            progress.update(task, advance=1, description="Judging")

        yield advance
