"""The workers of one consumer group: started, hurt, watched, and started again, as an orchestrator would.

The run's keeper tends them on a thread of its own, so everything here holds the fleet's lock.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.black_box import BlackBox
from tests.chaos.processes import children, peak_memory
from tests.integration.support import Topics

_RESTART_S = 1.0
_DRAIN_LIMIT_S = 60.0  # over the workers' own deadline
_REPOSITORY = Path(__file__).parents[2]


@dataclass(slots=True)
class _Worker:
    """One place in the fleet, and the process that has it."""

    number: int
    process: subprocess.Popen[bytes]
    box: BlackBox
    frozen_until: float | None = None
    stopping_since: float | None = None
    has_to_drain: bool = False
    start_at: float | None = None  # when to start the next one, once this one has ended


@dataclass(slots=True)
class Toll:
    """What happened to the workers of a fleet."""

    started: int = 0
    ended: Counter[str] = field(default_factory=Counter)  # by how
    longest_gap_s: float = 0.0
    peak_memory: int = 0  # bytes, of any worker
    peak_child_memory: int = 0  # bytes, of any decoder child
    last_words: Counter[str] = field(default_factory=Counter)  # of those that gave up by themselves
    bad_drains: list[str] = field(default_factory=list)


class Fleet:
    """Workers of one group.

    Args:
        name: for the log.
        topics: what they work on.
        settings: their environment, over this process's.
        count: how many.
        kind: `heard` with the real pipeline, `unheard` without.
        folder: for their logs and recorders.
    """

    def __init__(
        self, name: str, topics: Topics, settings: dict[str, str], count: int, kind: str, folder: Path
    ) -> None:
        self.name = name
        self.topics = topics
        self.group = settings["LOSSGATE_KAFKA_GROUP_ID"]
        self.toll = Toll()
        self._settings = settings
        self._count = count
        self._kind = kind
        self._folder = folder
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start all workers."""
        with self._lock:
            self._workers = [self._start(number) for number in range(self._count)]

    @property
    def is_up(self) -> bool:
        """Whether every worker's poll loop has begun."""
        return all(worker.box.has_polled for worker in self._workers)

    def tend(self) -> None:
        """Look after the workers: thaw, reap, restart, measure."""
        with self._lock:
            for place, worker in enumerate(self._workers):
                self._measure(worker)
                self._tend(place, worker, time.monotonic())

    @property
    def able(self) -> list[int]:
        """Numbers of the workers that run and don't suffer already."""
        with self._lock:
            return [
                each.number
                for each in self._workers
                if each.process.poll() is None and not (each.frozen_until or each.stopping_since)
            ]

    def kill(self, number: int) -> None:
        """SIGKILL one."""
        with self._lock:
            worker = self._workers[number]
            self._measure(worker)
            worker.process.kill()

    def stop(self, number: int) -> None:
        """SIGTERM one; it drains and ends with 0, if it got as far as polling."""
        with self._lock:
            worker = self._workers[number]
            worker.stopping_since = time.monotonic()
            worker.has_to_drain = worker.box.has_polled
            worker.process.send_signal(signal.SIGTERM)

    def freeze(self, number: int, seconds: float) -> None:
        """SIGSTOP one for a while."""
        with self._lock:
            worker = self._workers[number]
            worker.process.send_signal(signal.SIGSTOP)
            worker.frozen_until = time.monotonic() + seconds

    def kill_decoder(self, number: int) -> bool:
        """SIGKILL a decoder child of one; False if it has none."""
        with self._lock:
            decoders = children(self._workers[number].process.pid, "decoder_child")
            if decoders:
                os.kill(decoders[0], signal.SIGKILL)
            return bool(decoders)

    def thaw(self) -> None:
        """Let all frozen ones go on."""
        with self._lock:
            for worker in self._workers:
                if worker.frozen_until is not None:
                    self._thaw(worker)

    def drain(self) -> None:
        """SIGTERM all and wait; whoever does not end with 0 in time is named in the toll."""
        self.thaw()
        with self._lock:
            alive = [worker for worker in self._workers if worker.process.poll() is None]
            for worker in alive:
                self._measure(worker)
                worker.stopping_since = worker.stopping_since or time.monotonic()
                worker.has_to_drain = worker.box.has_polled
                worker.process.send_signal(signal.SIGTERM)
            for worker in alive:
                try:
                    worker.process.wait(_DRAIN_LIMIT_S)
                except subprocess.TimeoutExpired:
                    self._give_up_on(worker)
                self._reap(worker)

    def destroy(self) -> None:
        """SIGKILL whatever is left."""
        with self._lock:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()

    def _tend(self, place: int, worker: _Worker, now: float) -> None:
        if worker.frozen_until is not None and now >= worker.frozen_until:
            self._thaw(worker)
        if worker.start_at is not None:
            if now >= worker.start_at:
                self._workers[place] = self._start(worker.number)
        elif worker.process.poll() is not None:
            self._reap(worker)
            worker.start_at = now + _RESTART_S
        elif worker.stopping_since is not None and now - worker.stopping_since > _DRAIN_LIMIT_S:
            self._give_up_on(worker)

    def _start(self, number: int) -> _Worker:
        self.toll.started += 1
        recorder = self._folder / f"{self.name}-{number}-{self.toll.started}.box"
        with self._log(number).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.watched_worker", str(recorder), self._kind],
                env=os.environ | self._settings,
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return _Worker(number, process, BlackBox(recorder))

    def _log(self, number: int) -> Path:
        return self._folder / f"{self.name}-{number}.log"

    def _give_up_on(self, worker: _Worker) -> None:
        self.toll.bad_drains.append(f"{self.name}-{worker.number} did not end {_DRAIN_LIMIT_S:.0f} s after SIGTERM")
        worker.has_to_drain = False
        worker.process.kill()

    def _thaw(self, worker: _Worker) -> None:
        worker.frozen_until = None
        worker.box.forgive()
        worker.process.send_signal(signal.SIGCONT)

    def _reap(self, worker: _Worker) -> None:
        code = worker.process.wait()
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        self.toll.ended[how] += 1
        if code > 0:
            said = [line for line in self._log(worker.number).read_text(errors="replace").splitlines() if line]
            self.toll.last_words[said[-1][:200] if said else "(nothing)"] += 1
        if worker.has_to_drain and code != 0:
            self.toll.bad_drains.append(f"{self.name}-{worker.number} ended with {how} after SIGTERM")

    def _measure(self, worker: _Worker) -> None:
        toll = self.toll
        toll.longest_gap_s = max(toll.longest_gap_s, worker.box.longest_gap_s)
        if worker.process.poll() is None:
            toll.peak_memory = max(toll.peak_memory, peak_memory(worker.process.pid))
            if self._kind == "heard":
                for child in children(worker.process.pid, "decoder_child"):
                    toll.peak_child_memory = max(toll.peak_child_memory, peak_memory(child))
