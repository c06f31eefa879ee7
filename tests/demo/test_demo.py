"""The demo: runs through, and leaves nothing behind however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from demo.worker_process import WorkerDiedError, WorkerProcess

REPOSITORY = Path(__file__).parents[2]


def start(mark: str) -> "subprocess.Popen[str]":
    """Start the demo; all that it starts inherits the mark in its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=REPOSITORY,
        env={**os.environ, "MARK_OF_THE_TEST": mark, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_running(mark: str) -> list[str]:
    """Name the processes that carry the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # gone meanwhile, or not ours
    return found


@pytest.mark.integration
@pytest.mark.timeout(900)  # three minutes on two free cores, half of them compiling; other work doubles it
def test_demo_judges_every_clip() -> None:
    """From Kafka's start to the table: every clip has a verdict, on screen and in the file, and all is stopped."""
    mark = uuid4().hex
    with start(mark) as demo:
        output, errors = demo.communicate(timeout=840)
    assert demo.returncode == 0, errors
    lines = (REPOSITORY / "runs/demo/verdicts.jsonl").read_text().splitlines()
    clips = sorted(path.name for path in (REPOSITORY / "demo/clips").glob("*.flac"))
    assert [Path(json.loads(line)["audio_uri"]).name for line in lines] == clips
    for clip in clips:
        assert clip in output
    assert "runs/demo/verdicts.jsonl" in output
    assert left_running(mark) == []


@pytest.mark.integration
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_demo_stops_all_it_started(number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM, while the worker starts, leave neither Kafka nor worker nor decoders behind."""
    mark = uuid4().hex
    with start(mark) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        while "delivery events" not in (line := demo.stdout.readline()):
            assert line, demo.stderr.read()
        assert len(left_running(mark)) >= 3  # the demo, Kafka, the worker
        demo.send_signal(number)
        demo.communicate(timeout=60)
    assert demo.returncode == code
    assert left_running(mark) == []


def test_dead_worker_is_reported_with_its_log(tmp_path: Path) -> None:
    """A worker that ends by itself fails the demo at once, with its code and the end of its log."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    with WorkerProcess(environment, tmp_path / "worker.log", tmp_path) as worker:
        assert worker._process is not None
        worker._process.wait(30)
        with pytest.raises(WorkerDiedError, match=r"(?s)ended with code 2.*LOSSGATE_ALLOWED_URI_PREFIXES"):
            worker.check()
