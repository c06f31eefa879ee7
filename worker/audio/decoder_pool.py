"""Decoder children that can be killed.

No Python timeout can interrupt a decoder in C, so each object is read in a child process under a deadline.
Every child has a connection of its own and shares nothing with the others.  (pebble's pool was measured and
put aside: its children share one pipe and one lock, and a child killed while it sends stops the pool for good.)
"""

import queue
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog

from worker import metrics
from worker.audio.allow_list import AllowList
from worker.audio.child_process import ChildProcess
from worker.audio.child_protocol import Answer, Request, encode_settings
from worker.exceptions import FatalError, LossgateError, UnusableAudioError
from worker.records import DecodedAudio, Reason
from worker.settings import Settings

log = structlog.get_logger(__name__)

MAX_TASKS_PER_CHILD = 500
"""Objects after which a child is replaced: whatever a decoder leaks stays bounded."""

_START_LIMIT_S = 120.0
_START_ATTEMPTS = 3  # in a row; one child that is killed while it starts (out of memory) is no broken installation


class DecoderPool:
    """Fetches and decodes in children; `read` may be called from many threads.

    Args:
        settings: the limits, and `decoder_processes`.

    Raises:
        SettingsError: an allowed prefix can't be understood.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child_settings = encode_settings(settings)
        self._allow_list = AllowList(settings.allowed_uri_prefixes)
        self._idle: queue.LifoQueue[ChildProcess | None] = queue.LifoQueue()  # None: the pool is broken or closed
        self._lock = threading.Lock()
        self._children: set[ChildProcess] = set()
        self._closed = False
        self._failed_starts = 0  # in a row

    def __enter__(self) -> Self:
        for _ in range(self._settings.decoder_processes):
            self._start_child()
        metrics.DECODER_MEMORY_BYTES.set_function(self._memory_bytes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        metrics.DECODER_MEMORY_BYTES.set_function(lambda: 0)
        with self._lock:
            self._closed = True
            children = list(self._children)  # a lane may be replacing its child right now
        for child in children:
            child.kill()
        while not self._idle.empty():
            if (idle := self._idle.get()) is not None:
                idle.close()
        self._idle.put(None)

    def warm_up(self) -> None:
        """Wait until every child is ready.

        Raises:
            FatalError: a child can't be started.
        """
        children = [self._take() for _ in range(self._settings.decoder_processes)]
        for child in children:
            self._release(child)

    def read(self, delivery_uri: str, expected_sha256: str | None) -> DecodedAudio:
        """Fetch and decode one object; waits for a free child, and only then does the deadline run.

        Raises:
            UnusableAudioError: the object can't be judged.
            FatalError: no child can be started, or the pool is closed.
        """
        self._allow_list.admit(delivery_uri)  # needs no child to be refused
        began = time.monotonic()
        child = self._take()
        stage_seconds = {"wait": time.monotonic() - began}
        try:
            audio = self._audio(child, Request(delivery_uri, expected_sha256), stage_seconds)
        except UnusableAudioError as error:
            error.stage_seconds = stage_seconds
            raise
        return replace(audio, stage_seconds=stage_seconds)

    def _audio(self, child: ChildProcess, request: Request, stage_seconds: dict[str, float]) -> DecodedAudio:
        answer = self._ask(child, request, stage_seconds)
        metrics.FETCH_RETRIES.inc(answer.retries)
        if answer.error is not None:
            raise answer.error
        if answer.audio is None:
            raise UnusableAudioError(Reason.DECODER_CRASHED, "The decoder gave no answer for this object.")
        return answer.audio

    def _ask(self, child: ChildProcess, request: Request, stage_seconds: dict[str, float]) -> Answer:
        try:
            answer = child.ask(request, self._settings.decode_deadline_s, self._settings.windows_per_track)
            stage_seconds |= child.stage_seconds
        except LossgateError as error:
            stage_seconds |= child.stage_seconds
            last_words = child.last_words()
            self._replace(child)
            if self._closed:
                raise FatalError("The decoders were closed while an object was read.") from error
            is_late = getattr(error, "reason", None) in {Reason.DECODE_TIMEOUT, Reason.FETCH_FAILED}
            cause = "deadline" if is_late else "died"
            metrics.DECODER_KILLS.labels(cause).inc()
            log.warning("decoder_lost", cause=cause, audio_uri=request.uri, stderr=last_words)
            raise
        if child.tasks >= MAX_TASKS_PER_CHILD:
            self._replace(child)
        else:
            self._release(child)
        return answer

    def _memory_bytes(self) -> int:
        """Resident memory of all children."""
        with self._lock:
            children = list(self._children)
        return sum(child.memory_bytes() for child in children)

    def _take(self) -> ChildProcess:
        while (child := self._idle.get()) is not None:
            if child.is_alive():
                return child
            metrics.DECODER_KILLS.labels("died").inc()
            self._replace(child)
        self._idle.put(None)  # for the next caller
        raise FatalError("No decoder child can be started, or the decoders are closed; see the log.")

    def _release(self, child: ChildProcess) -> None:
        with self._lock:
            if not self._closed:
                self._idle.put(child)
                return
        child.close()

    def _replace(self, child: ChildProcess) -> None:
        with self._lock:
            self._children.discard(child)
        child.close()
        self._start_child()

    def _start_child(self) -> None:
        """Start a child in the background; it joins the idle ones once it is ready."""
        with self._lock:
            if self._closed:
                return
            child = ChildProcess(self._child_settings)
            self._children.add(child)

        def wait() -> None:
            if child.wait_until_ready(_START_LIMIT_S):
                with self._lock:
                    self._failed_starts = 0
                self._release(child)
                return
            with self._lock:
                self._children.discard(child)
                self._failed_starts += 1
                gives_up = self._failed_starts >= _START_ATTEMPTS
            if not self._closed:
                log.error("decoder_start_failed", stderr=child.last_words(), gives_up=gives_up)
            child.close()
            if gives_up and not self._closed:
                self._idle.put(None)
            else:
                self._start_child()  # does nothing once closed

        threading.Thread(target=wait, daemon=True, name="decoder-start").start()
