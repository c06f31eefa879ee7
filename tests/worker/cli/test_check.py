"""`lossgate check` over a fake pipeline: files, order, JSON, table, exit codes, early ends."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from worker.cli.app import app
from worker.cli.check import exit_code, judge_in_order
from worker.cli.exit_codes import ExitCode
from worker.cli.files import AudioFile, find_audio
from worker.constants import MAX_WINDOWS_PER_TRACK
from worker.records import Decision, Judgement, Reason
from worker.settings import Settings

FAKE_LOSSGATE = Path(__file__).with_name("fake_lossgate.py")
ACCEPTED = Judgement(Decision.ACCEPT, Reason.NO_LOSSY_TRACES, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of files with telling names, at two depths, with upper case and something that is no audio."""
    music = tmp_path / "music"
    for name in ("accept1.flac", "sub/REJECT.FLAC", "sub/reject2.flac", "sub/accept3.WAV", "cover.jpg"):
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        (music / name).write_bytes(b"x")
    return music


def judge_json(runner: CliRunner, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    """Run `check --json`; returns exit code and parsed lines."""
    result = runner.invoke(app, ["check", "--json", *arguments])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(("arguments", "every"), [([], False), (["--every-segment"], True)])
def test_every_segment_is_heard_and_searched_on_request(
    runner: CliRunner,
    fake: types.ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    every: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Lossy parts of a track are found only where the whole of it is searched; by default that would take too long."""
    used: list[Settings] = []

    @contextmanager
    def recording(settings: Settings, **_: object) -> Iterator[Any]:
        used.append(settings)
        with fake.open_pipeline(settings) as pipeline:
            yield pipeline

    module = fake.fake_module()
    module.open_pipeline = recording  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "worker.pipeline", module)
    assert judge_json(runner, *arguments, str(folder))[0] == ExitCode.REJECTED
    plain = Settings()
    expected = (MAX_WINDOWS_PER_TRACK, 0) if every else (plain.windows_per_track, plain.searched_segments)
    assert [(settings.windows_per_track, settings.searched_segments) for settings in used] == [expected]
    assert plain.searched_segments > 0


@pytest.mark.parametrize(("files", "compiled"), [(9, False), (10, True)])
def test_the_follower_is_compiled_only_for_many_files(
    runner: CliRunner,
    fake: types.ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: int,
    compiled: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whoever checks two files waits for no compiler; whoever checks an archive gets what it saves."""
    used: list[bool] = []

    @contextmanager
    def recording(settings: Settings, *, compile_follower: bool) -> Iterator[Any]:
        used.append(compile_follower)
        with fake.open_pipeline(settings) as pipeline:
            yield pipeline

    for number in range(files):
        (tmp_path / f"accept{number}.flac").write_bytes(b"x")
    module = fake.fake_module()
    module.open_pipeline = recording  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "worker.pipeline", module)
    assert judge_json(runner, str(tmp_path))[0] == ExitCode.DONE
    assert used == [compiled]


@pytest.mark.usefixtures("fake_pipeline")
def test_json_lines_of_a_folder_in_order(runner: CliRunner, folder: Path) -> None:
    """A folder is searched at any depth and in any case; lines come sorted, other files are left out."""
    code, lines = judge_json(runner, str(folder))
    names = [Path(str(line["path"])).relative_to(folder).as_posix() for line in lines]
    assert names == ["accept1.flac", "sub/REJECT.FLAC", "sub/accept3.WAV", "sub/reject2.flac"]
    assert [line["decision"] for line in lines] == ["accept", "accept", "accept", "reject"]
    assert code == ExitCode.REJECTED


@pytest.mark.usefixtures("fake_pipeline")
def test_json_line_has_every_field(runner: CliRunner, folder: Path) -> None:
    """The shape that scripts rely on."""
    _code, lines = judge_json(runner, str(folder / "sub/reject2.flac"))
    assert lines == [
        {
            "path": str(folder / "sub/reject2.flac"),
            "decision": "reject",
            "reason": "LOSSY_TRACES",
            "detail": "Traces of lossy coding.",
            "probability": 0.9996,
            "codec": "mp3",
            "bitrate_class": "GT_288",
            "family_scores": {"mp3": 0.9, "aac": 0.1},
            "segments": [{"start_s": 0.0, "end_s": 2.97, "probability": 0.9996}],
            "grid": {"grid": "mp3", "score": 57.5, "offset_samples": 417, "segment_start_s": 0.0},
            "bandwidth_hz": 20_000.0,
            "facts": {
                "container": "flac",
                "sample_rate_hz": 44_100,
                "channels": 2,
                "bit_depth": 16,
                "total_samples": 441_000,
                "duration_s": 10.0,
                "size_bytes": 12,
                "sha256": None,
                "version_tag": "12-0",
                "decoder": None,
            },
            "model": {"name": "fake", "version": "1", "sha256": "0" * 64},
            "policy": "fake-policy",
        }
    ]


@pytest.mark.usefixtures("fake_pipeline")
def test_missing_file_and_empty_folder_are_for_review(runner: CliRunner, tmp_path: Path, folder: Path) -> None:
    """Nothing that was named passes silently: what is not there, or holds no audio, is a line for review."""
    (tmp_path / "empty").mkdir()
    code, lines = judge_json(runner, "gone.flac", "empty", str(folder / "accept1.flac"))
    assert [(line["path"], line["decision"], line["reason"]) for line in lines] == [
        ("gone.flac", "review", "NOT_FOUND"),
        ("empty", "review", "EMPTY"),
        (str(folder / "accept1.flac"), "accept", "NO_LOSSY_TRACES"),
    ]
    assert code == ExitCode.REVIEW


@pytest.mark.usefixtures("fake_pipeline")
def test_link_out_of_the_folder_is_followed(runner: CliRunner, tmp_path: Path, folder: Path) -> None:
    """A link the user put into the named folder is judged by what it points to."""
    (tmp_path / "reject9.flac").write_bytes(b"x")
    (folder / "a-link.flac").symlink_to(tmp_path / "reject9.flac")
    _code, lines = judge_json(runner, str(folder / "a-link.flac"))
    assert lines[0]["decision"] == "reject"


@pytest.mark.usefixtures("fake_pipeline")
def test_exit_code_zero_when_all_accepted(runner: CliRunner, folder: Path) -> None:
    """A shell's `if lossgate check …` is true only when every file was accepted."""
    assert runner.invoke(app, ["check", str(folder / "accept1.flac")]).exit_code == 0


def test_exit_codes_by_weight() -> None:
    """Rejected outweighs review, review outweighs accepted."""
    assert exit_code(Counter()) == 0
    assert exit_code(Counter({Decision.ACCEPT: 5, Decision.REVIEW: 1})) == 3
    assert exit_code(Counter({Decision.REVIEW: 5, Decision.REJECT: 1})) == 1


@pytest.mark.usefixtures("fake_pipeline")
def test_table_and_summary(runner: CliRunner, folder: Path) -> None:
    """Without --json a person reads a table and the counts; a probability is never rounded to certainty."""
    result = runner.invoke(app, ["check", str(folder)])
    assert "mp3 GT_288" in result.stdout
    assert "0.999" in result.stdout
    assert "1.000" not in result.stdout
    assert "4 judged: 3 accepted, 1 rejected, 0 to review." in result.stdout
    assert "fake-policy" in result.stdout


@pytest.mark.usefixtures("fake_pipeline")
def test_file_name_cannot_drive_the_terminal(runner: CliRunner, tmp_path: Path) -> None:
    """Escapes, line breaks and Rich markup in a file name are shown, not obeyed."""
    evil = tmp_path / "accept\x1b[2J\n[red]x.flac"
    evil.write_bytes(b"x")
    result = runner.invoke(app, ["check", evil.name])
    assert "\x1b" not in result.stdout
    assert "accept\\x1b[2J\\x0a[red]x.flac" in result.stdout
    _code, lines = judge_json(runner, evil.name)
    assert lines[0]["path"] == evil.name


@pytest.mark.usefixtures("fake_pipeline")
def test_file_name_that_is_not_utf8_gives_valid_json(runner: CliRunner, tmp_path: Path) -> None:
    """A name in another encoding is still strict JSON, without lone surrogates."""
    name = os.fsdecode(b"accept\xff.flac")
    (tmp_path / name).write_bytes(b"x")
    result = runner.invoke(app, ["check", "--json", name])
    assert "\\ud" not in result.stdout.replace("\\\\ud", "")
    assert json.loads(result.stdout)["decision"] == "accept"


def test_uri_is_refused_with_what_to_do(runner: CliRunner) -> None:
    """Someone who hands `check` a URI is told which command takes it."""
    result = runner.invoke(app, ["check", "s3://masters/a.flac"])
    assert result.exit_code == ExitCode.USAGE
    assert "submit" in result.stderr
    assert result.stdout == ""


def test_setting_out_of_range_is_named_without_its_value(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting ends in one plain line with the variable's name, and without what was in it."""
    monkeypatch.setenv("LOSSGATE_LANES", "hunter2")
    result = runner.invoke(app, ["check", "x.flac"])
    assert result.exit_code == ExitCode.USAGE
    assert "LOSSGATE_LANES" in result.stderr
    assert "hunter2" not in result.stderr


def test_setting_that_is_not_json_is_named(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list or object that is not JSON is named too, without its value."""
    monkeypatch.setenv("LOSSGATE_KAFKA_PROPERTIES", "{sasl.password: hunter2")
    result = runner.invoke(app, ["check", "x.flac"])
    assert result.exit_code == ExitCode.USAGE
    assert "LOSSGATE_KAFKA_PROPERTIES: not valid JSON." in result.stderr
    assert "hunter2" not in result.stderr


def test_unreadable_folder_is_for_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be searched does not pass for an empty one."""

    def refuse(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run this, may read everything
    (found,) = find_audio([str(tmp_path)])
    assert found.problem is not None
    assert found.problem.reason is Reason.ACCESS_DENIED
    assert found.problem.detail == "The folder can't be read: Permission denied."


def test_results_come_in_order_and_no_further_ahead_than_the_lanes() -> None:
    """A slow first file neither changes the order nor lets the rest pile up in memory."""
    begun: list[str] = []

    def judge(path: str) -> Judgement:
        begun.append(path)
        if path.endswith("/0"):
            time.sleep(0.2)
        return ACCEPTED

    results = judge_in_order((AudioFile(f"/x/{n}") for n in range(100)), judge, lanes=2)
    first, _ = next(results)
    assert first.path == "/x/0"
    assert len(begun) <= 5
    assert [file.path for file, _ in results] == [f"/x/{n}" for n in range(1, 100)]


def test_every_file_advances_the_progress_once() -> None:
    """The bar ends full, also for files with a problem and for a judge that fails."""
    steps: list[int] = []
    files = [AudioFile("/a"), AudioFile("/b", ACCEPTED)]
    assert len(list(judge_in_order(files, lambda _path: ACCEPTED, 2, lambda: steps.append(1)))) == 2
    assert len(steps) == 2


def start(folder: Path, *arguments: str, count: int = 200) -> "subprocess.Popen[str]":
    """Start `lossgate check` over many slow files."""
    for n in range(count):
        (folder / f"slow{n:03}.flac").write_bytes(b"x")
    return subprocess.Popen(
        [sys.executable, str(FAKE_LOSSGATE), "check", *arguments, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_closed_stdout_ends_quietly(tmp_path: Path) -> None:
    """`lossgate check --json … | head -n 1` prints its line and ends without a traceback."""
    with start(tmp_path, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["decision"] == "accept"
        process.stdout.close()
        assert process.wait(10) == ExitCode.STDOUT_CLOSED
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_signal_ends_quietly_and_soon(tmp_path: Path, signal_number: signal.Signals, code: ExitCode) -> None:
    """Ctrl-C and SIGTERM end the command soon, with their own exit code and without a traceback."""
    with start(tmp_path, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal_number)
        assert process.wait(10) == code
        assert process.stderr.read() == ""
        for line in process.stdout.read().splitlines():
            json.loads(line)
