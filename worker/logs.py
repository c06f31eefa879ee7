"""Logs: JSON lines in production, readable on a terminal, always on stderr.

Every line, ours or a library's, takes the same way: secrets are masked, strings are cut to a length,
and control characters are escaped, so that nothing in an event can forge a line or drive a terminal.
"""

import logging
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from worker.records import DeadLetter, Verdict

MAX_STRING = 2_000  # characters of one value; URIs and error texts come from outside
_MASK = "***"

# What ends in one of these names a secret, whatever stands before it: `sasl.password`, `aws_secret_access_key`, …
_SECRET_KEY = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|credentials?|authorization|api_?key|access_?key(_id)?|private_?key|"
    r"jaas[._]config|user[._]info)$"
)
_USER_INFO = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@?#]+@")
_SECRET_PAIR = re.compile(
    r"(?i)(?P<key>\b(?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|signature|sig|"
    r"[\w.-]*(?:pass(?:word|wd|phrase)|secret|token|api_?key|access_?key(?:_id)?))['\"]?\s*[=:]\s*['\"]?)[^\s&'\",;}]+"
)

_QUIET_LOGGERS = ("absl", "botocore", "httpcore", "httpcore2", "httpx", "httpx2", "s3transfer", "tensorflow", "urllib3")


def quiet_tensorflow() -> None:
    """Silence TensorFlow's C++ chatter; must run before TensorFlow is imported.

    What it prints past every logger says nothing a person can act on. Set TF_CPP_MIN_LOG_LEVEL=0 to see it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def configure_logging(
    log_format: Literal["auto", "json", "console"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
) -> None:
    """Send structlog's, the standard library's and Python's own warnings and crashes to stderr as one kind of line."""
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _clean,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(allow_nan=False, default=str)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=_wants_colour(sys.stderr), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def canonical_line(
    outcome: Verdict | DeadLetter, stage_seconds: Mapping[str, float] | None = None, trace_id: str | None = None
) -> None:
    """Write the one line that tells a delivery's whole story, once its outcome is decided.

    Args:
        outcome: the verdict or dead letter.
        stage_seconds: times over and above those of the judgement, such as `{"total": …, "publish": …}`.
        trace_id: of the delivery's trace, where there is one.
    """
    source = outcome.source
    where = {"topic": source.topic, "partition": source.partition, "offset": source.offset}
    log = structlog.get_logger("lossgate.delivery")
    if isinstance(outcome, DeadLetter):
        log.warning(
            "dead_letter",
            reason=outcome.reason.value,
            detail=outcome.detail,
            dead_letter_id=str(outcome.dead_letter_id),
            trace_id=trace_id,
            **where,
            **_rounded_seconds(stage_seconds or {}),
        )
        return
    delivery, judgement, detector = outcome.delivery, outcome.judgement, outcome.detector
    log.info(
        "verdict",
        delivery_id=delivery.delivery_id,
        trace_id=trace_id,
        decision=judgement.decision.value,
        reason=judgement.reason.value,
        probability=None if judgement.probability is None else round(judgement.probability, 4),
        codec=judgement.codec,
        bitrate_class=judgement.bitrate_class,
        detail=judgement.detail,
        segments=len(judgement.segments),
        audio_uri=delivery.audio_uri,
        provider=delivery.provider,
        event_id=str(delivery.event_id),
        verdict_id=str(outcome.verdict_id),
        replay_id=outcome.replay_id,
        model=f"{detector.model_name} {detector.model_version}",
        policy=detector.policy_version,
        **where,
        **_rounded_seconds({**judgement.stage_seconds, **(stage_seconds or {})}),
    )


def printable(text: str, limit: int = MAX_STRING) -> str:
    r"""Make an untrusted string safe to print on one line.

    Control characters, line separators, bidirectional overrides, lone surrogates and other invisible characters
    become `\xNN` or `\uNNNN`; what exceeds the limit is cut, with a mark.
    """
    if len(text) > limit:
        text = text[:limit] + f"… ({len(text) - limit} more)"
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_visible(character) else _escaped(character) for character in text)


def redact(text: str) -> str:
    """Mask passwords in URIs, signatures in query strings and `password=…`-like pairs."""
    text = _USER_INFO.sub(rf"\g<scheme>{_MASK}@", text)
    return _SECRET_PAIR.sub(rf"\g<key>{_MASK}", text)


def _rounded_seconds(stage_seconds: Mapping[str, float]) -> dict[str, float]:
    return {f"{stage}_s": round(seconds, 4) for stage, seconds in stage_seconds.items()}


def _is_visible(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 -- the last code with two digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 -- the last code with four


def _clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask, cut and escape every string of the line; tracebacks keep their line breaks."""
    cleaned: EventDict = {}
    for key, value in event.items():
        if key.startswith("_"):  # structlog's own
            cleaned[key] = value
        elif key in {"exception", "stack"} and isinstance(value, str):
            cleaned[key] = "\n".join(printable(redact(line)) for line in value.splitlines())
        else:
            cleaned[printable(key)] = _clean_value(key, value)
    return cleaned


def _clean_value(key: str, value: object) -> object:
    if _SECRET_KEY.search(key) and value is not None:
        return _MASK
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)  # NaN and infinity are no JSON
    if isinstance(value, Mapping):
        return {printable(str(name)): _clean_value(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_value(key, item) for item in value]
    return printable(redact(str(value)))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment, so that lines and a progress bar share the terminal."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property  # StreamHandler fixes its stream once; that is what differs here.
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger("lossgate").critical("crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_type is SystemExit or crash.exc_value is None:
        return
    structlog.get_logger("lossgate").critical(
        "thread_crashed",
        thread=crash.thread.name if crash.thread else None,
        exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback),
    )
