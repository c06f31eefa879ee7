"""What the worker and its decoder children say to each other.

JSON and raw samples, never pickles: a child parses bytes from outside,
so what it answers is checked like any other input.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from worker.audio.limits import Limits
from worker.exceptions import UnusableAudioError
from worker.records import AudioFacts, DecodedAudio, Decoder, FetchFault, Reason
from worker.settings import Settings

READY = b"ready"
FETCHING = b"fetching"
DECODING = b"decoding"
STAGES = (FETCHING, DECODING)


@dataclass(frozen=True, slots=True)
class Request:
    """One object to read."""

    uri: str
    expected_sha256: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it: audio, or the error."""

    retries: int
    audio: DecodedAudio | None = None
    error: UnusableAudioError | None = None


def encode_settings(settings: Settings) -> str:
    """What a child has to know of the settings: the limits, the allowed prefixes and its memory, as JSON."""
    limits = asdict(Limits.of(settings))
    del limits["started_s"]
    windows_bytes = settings.windows_per_track * SEGMENT_SAMPLES * SEGMENT_CHANNELS * np.dtype(np.float32).itemsize
    return json.dumps(
        {
            "limits": limits,
            "allowed_uri_prefixes": settings.allowed_uri_prefixes,
            "memory_bytes": settings.decoder_memory_bytes + windows_bytes,
        }
    )


def send_request(connection: Connection, request: Request) -> None:
    """Ask a child."""
    connection.send_bytes(json.dumps(asdict(request)).encode())


def receive_request(connection: Connection) -> Request:
    """Wait for the next request; EOFError when the worker is gone."""
    return Request(**json.loads(connection.recv_bytes()))


def send_answer(connection: Connection, answer: Answer) -> None:
    """Answer the worker."""
    fields: dict[str, Any] = {"retries": answer.retries}
    if answer.error is not None:
        fields |= {"reason": answer.error.reason, "detail": answer.error.detail, "passing": answer.error.passing}
    if answer.audio is not None:
        fields |= {
            "facts": asdict(answer.audio.facts),
            "starts_s": answer.audio.starts_s,
            "analysis_rate_hz": answer.audio.analysis_rate_hz,
        }
    connection.send_bytes(json.dumps(fields).encode())
    if answer.audio is not None and len(answer.audio.segments):
        connection.send_bytes(answer.audio.segments.data.cast("B"))


def receive_answer(connection: Connection, max_windows: int, on_stage: Callable[[bytes], None]) -> Answer:
    """Take a child's answer, and before it what the child says it is at.

    Raises:
        EOFError, OSError: the child is gone.
        ValueError, KeyError, TypeError: it doesn't make sense.
    """
    while (message := connection.recv_bytes()) in STAGES:
        on_stage(message)
    fields = json.loads(message)
    retries = int(fields["retries"])
    if "reason" in fields:
        passing = FetchFault(fields["passing"]) if fields["passing"] else None
        return Answer(retries, error=UnusableAudioError(Reason(fields["reason"]), str(fields["detail"]), passing))
    facts = fields["facts"]
    decoder = Decoder(facts["decoder"]) if facts["decoder"] else None
    starts_s = tuple(map(float, fields["starts_s"]))
    if len(starts_s) > max_windows:
        raise ValueError(f"{len(starts_s)} windows, at most {max_windows} were asked for")
    segments = np.empty((len(starts_s), SEGMENT_SAMPLES, SEGMENT_CHANNELS), np.float32)
    if starts_s and connection.recv_bytes_into(segments.data.cast("B")) != segments.nbytes:
        raise ValueError("fewer samples than announced")
    audio = DecodedAudio(
        AudioFacts(**{**facts, "decoder": decoder}), segments, starts_s, int(fields["analysis_rate_hz"])
    )
    return Answer(retries, audio=audio)
