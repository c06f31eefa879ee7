"""The pool: deadlines, deaths, signals, and children that never outlive the worker."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.worker.audio.conftest import Write, make_settings
from worker import metrics
from worker.audio import decoder_pool
from worker.audio.decoder_pool import DecoderPool
from worker.exceptions import FatalError, UnusableAudioError
from worker.records import Reason

DEADLINE_S = 4.0


@pytest.fixture(scope="module")
def small_pool(inbox: Path) -> Iterator[DecoderPool]:
    """One child, four seconds."""
    with DecoderPool(make_settings(inbox, decode_deadline_s=DEADLINE_S)) as decoders:
        decoders.warm_up()
        yield decoders


def only_child(pool: DecoderPool) -> int:
    """Process id of the pool's child, once it is ready."""
    pool.warm_up()
    (child,) = pool._children
    return child.pid


def eventually(condition: Callable[[], bool], limit_s: float = 10) -> bool:
    """Wait until something is true."""
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_many_threads(pool: DecoderPool, write: Write) -> None:
    """Many lanes share few children, and each gets its own audio."""
    paths = [write(samples=140_000 + number, name=f"{number}.flac") for number in range(12)]
    with ThreadPoolExecutor(6) as lanes:
        lengths = [audio.facts.total_samples for audio in lanes.map(lambda path: pool.read(str(path), None), paths)]
    assert [140_000 + number for number in range(12)] == lengths


def test_stages_are_timed(pool: DecoderPool, write: Write, inbox: Path) -> None:
    """Waiting, fetching and decoding are told apart, also where it ends in an error; the children's memory is seen."""
    audio = pool.read(str(write()), None)
    assert list(audio.stage_seconds) == ["wait", "fetch", "decode"]
    assert all(0 <= seconds < 60 for seconds in audio.stage_seconds.values())
    with pytest.raises(UnusableAudioError) as caught:
        pool.read(str(inbox / "missing.flac"), None)
    assert list(caught.value.stage_seconds) == ["wait", "fetch"]
    (family,) = metrics.DECODER_MEMORY_BYTES.collect()
    assert family.samples[0].value > 50e6


def test_killed_at_the_deadline(small_pool: DecoderPool, write: Write) -> None:
    """A child that makes no progress is killed at its deadline, counted and replaced."""
    path = write()
    pid = only_child(small_pool)
    kills = metrics.DECODER_KILLS.labels("deadline")._value.get()
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(UnusableAudioError) as caught:
        small_pool.read(str(path), None)
    took = time.monotonic() - started
    assert caught.value.reason == Reason.DECODE_TIMEOUT
    assert sum(caught.value.stage_seconds.values()) >= DEADLINE_S
    assert DEADLINE_S <= took < DEADLINE_S + 2
    assert gone(pid)
    assert kills + 1 == metrics.DECODER_KILLS.labels("deadline")._value.get()
    assert small_pool.read(str(path), None).facts.total_samples == 400_000


def test_deadline_counts_no_waiting(small_pool: DecoderPool, write: Write) -> None:
    """Deliveries that wait longer than a deadline for a child, or for its start, are still read."""
    path = write()
    os.kill(only_child(small_pool), signal.SIGSTOP)
    with ThreadPoolExecutor(4) as lanes:
        results = [lanes.submit(small_pool.read, str(path), None) for _ in range(4)]
        errors = [result.exception() for result in results]
    assert sum(error is not None for error in errors) == 1


def test_killed_from_outside(small_pool: DecoderPool, write: Write) -> None:
    """What the kernel does when memory runs out: the delivery gets a verdict, the pool goes on."""
    path = write()
    pid = only_child(small_pool)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(UnusableAudioError, match="signal 9") as caught:
        small_pool.read(str(path), None)
    assert caught.value.reason == Reason.DECODER_CRASHED
    assert small_pool.read(str(path), None).facts.total_samples == 400_000


def test_dead_while_idle(small_pool: DecoderPool, write: Write) -> None:
    """A child that died between two deliveries costs none of them."""
    path = write()
    os.kill(only_child(small_pool), signal.SIGKILL)
    (child,) = small_pool._children
    assert eventually(lambda: not child.is_alive())
    assert small_pool.read(str(path), None).facts.total_samples == 400_000


def test_signals_for_the_worker_leave_children_alone(small_pool: DecoderPool, write: Write) -> None:
    """Ctrl-C and SIGTERM mean the worker, which drains first."""
    pid = only_child(small_pool)
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert small_pool.read(str(write()), None).facts.total_samples == 400_000
    assert pid == only_child(small_pool)


def test_children_are_replaced(small_pool: DecoderPool, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many objects a child makes way for a fresh one."""
    path = write()
    pid = only_child(small_pool)
    monkeypatch.setattr(decoder_pool, "MAX_TASKS_PER_CHILD", 1)
    small_pool.read(str(path), None)
    monkeypatch.undo()
    assert gone(pid)
    assert only_child(small_pool) != pid


def test_closed_pool(inbox: Path, write: Write) -> None:
    """Closing ends children that still start, and whoever waits for one."""
    with DecoderPool(make_settings(inbox)) as decoders:
        (child,) = decoders._children
    assert gone(child.pid)
    with pytest.raises(FatalError):
        decoders.read(str(write()), None)


def test_child_that_cannot_start(inbox: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation stops the worker instead of sending every delivery to review."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with DecoderPool(make_settings(inbox)) as decoders, pytest.raises(FatalError):
        decoders.read(str(write()), None)


def test_child_killed_while_it_starts(inbox: Path, write: Write) -> None:
    """A child that dies before it is ready is replaced: the worker goes on, and the object is read."""
    with DecoderPool(make_settings(inbox)) as decoders:
        (child,) = decoders._children
        os.kill(child.pid, signal.SIGKILL)
        assert decoders.read(str(write()), None).facts.container == "flac"


ORPHANING = """
import os, signal, sys
from tests.worker.audio.conftest import make_settings
from worker.audio.decoder_pool import DecoderPool
pool = DecoderPool(make_settings(sys.argv[2])).__enter__()
pool.warm_up()
(child,) = pool._children
if sys.argv[1] == "busy":
    from worker.audio.child_protocol import Request, send_request
    send_request(child._connection, Request(sys.argv[2] + "a.flac", None))
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_children_die_with_the_worker(state: str) -> None:
    """However hard the worker dies, no child is left, whether it waits or works."""
    silent = socket.create_server(("127.0.0.1", 0))  # accepts in the kernel and never answers
    run = subprocess.run(
        [sys.executable, "-c", ORPHANING, state, f"http://127.0.0.1:{silent.getsockname()[1]}/"],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert run.returncode == -signal.SIGKILL
    pid = int(run.stdout)
    assert eventually(lambda: gone(pid), 5)
    silent.close()
