"""The log lines: shape, safety against what events carry, secrets, the canonical line."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog

from worker.logs import canonical_line, configure_logging, printable, redact
from worker.records import (
    Coordinates,
    DeadLetter,
    DeadLetterReason,
    Decision,
    Delivery,
    DetectorIdentity,
    Judgement,
    Reason,
    Verdict,
)

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
SOURCE = Coordinates("lossgate.deliveries", 3, 41, WHEN)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Give the rest of the tests the logging they had."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


def parsed(written: str) -> list[dict[str, object]]:
    """Parse JSON lines."""
    return [json.loads(line) for line in written.splitlines()]


def make_verdict(delivery_id: str = "d-1") -> Verdict:
    """Return a rejected delivery."""
    return Verdict(
        verdict_id=UUID(int=1),
        delivery=Delivery(UUID(int=2), delivery_id, "s3://masters/a.flac", "Provider", WHEN),
        judgement=Judgement(
            Decision.REJECT,
            Reason.LOSSY_TRACES,
            "Traces of lossy coding.",
            probability=0.98765432,
            codec="mp3",
            bitrate_class="GT_288",
            stage_seconds={"decode": 0.123456789, "detect": 0.5},
        ),
        detector=DetectorIdentity("cnn", "1", "0" * 64, "p1"),
        worker_version="0.1.0",
        judged_at=WHEN,
        source=SOURCE,
    )


def test_json_line_has_time_level_logger_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal each line is one JSON object that says when, how grave, who and what."""
    configure_logging("auto", "info")
    structlog.get_logger("worker.x").info("started", lanes=4)
    (line,) = parsed(capsys.readouterr().err)
    assert line.pop("timestamp")
    assert line == {"event": "started", "level": "info", "logger": "worker.x", "lanes": 4}


def test_standard_library_lines_and_warnings_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A library that logs through `logging` or warns can't break the JSON stream."""
    configure_logging("json", "info")
    logging.getLogger("some.library").warning("lost %s\nforged", "broker", extra={"attempt": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", UserWarning, stacklevel=1)
    first, second = parsed(capsys.readouterr().err)
    assert first["event"] == "lost broker\\x0aforged"
    assert first["attempt"] == 2
    assert second["logger"] == "py.warnings"


def test_level_filters(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines below the level are not written."""
    configure_logging("json", "warning")
    structlog.get_logger().info("chatter")
    structlog.get_logger().error("trouble")
    assert [line["event"] for line in parsed(capsys.readouterr().err)] == ["trouble"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_newlines_and_escapes_in_values_stay_inside_the_line(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """A delivery id with a line break or a terminal escape can neither forge a line nor drive a terminal."""
    configure_logging(log_format, "info")
    evil = 'x\n{"event":"forged"}\x1b[2J\u202e\u2028\x9b1m\ud800'
    structlog.get_logger().info("seen", delivery_id=evil, nested={"a": [evil]})
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    for character in "\x1b\u202e\u2028\x9b\ud800":
        assert character not in written
    assert "forged" in written


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords don't reach the log, whether named by their key, inside a URI, or inside a message."""
    configure_logging("json", "debug")
    structlog.get_logger().info(
        "connecting to http://user:hunter2@registry/ with sasl.password=hunter2",
        properties={"sasl.password": "hunter2", "ssl.key.password": "hunter2", "client.id": "lossgate"},
        aws_secret_access_key="hunter2",  # noqa: S106 -- that is the point
        audio_uri="https://cdn/x.flac?X-Amz-Signature=hunter2&part=1",
    )
    written = capsys.readouterr().err
    assert "hunter2" not in written
    (line,) = parsed(written)
    assert line["properties"] == {"sasl.password": "***", "ssl.key.password": "***", "client.id": "lossgate"}
    assert line["audio_uri"] == "https://cdn/x.flac?X-Amz-Signature=***&part=1"


def test_exception_is_one_json_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback stays in its line, keeps its line breaks as data and masks what it quotes."""
    configure_logging("json", "info")
    try:
        int("no s3://key:hunter2@store/")
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    (line,) = parsed(written)
    assert "\n" in str(line["exception"])
    assert "ValueError" in str(line["exception"])
    assert "hunter2" not in written


def test_values_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN, infinity, bytes and objects don't make the line unreadable."""
    configure_logging("json", "info")
    structlog.get_logger().info("odd", nan=float("nan"), infinite=float("inf"), raw=b"\x00\n", when=WHEN)
    (line,) = parsed(capsys.readouterr().err)
    assert line["nan"] == "nan"
    assert line["infinite"] == "inf"


def test_crash_in_a_thread_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A thread that dies says so in the log instead of printing past it."""
    configure_logging("json", "info")

    def crash() -> None:
        raise RuntimeError("boom")

    thread = threading.Thread(target=crash, name="lane-1")
    thread.start()
    thread.join()
    (line,) = parsed(capsys.readouterr().err)
    assert line["event"] == "thread_crashed"
    assert line["thread"] == "lane-1"
    assert "boom" in str(line["exception"])


def test_canonical_line_of_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """One line tells a delivery's story: what, decided how, how long each stage took, where in Kafka."""
    configure_logging("json", "info")
    canonical_line(make_verdict(), {"total": 1.0}, "0af7651916cd43dd8448eb211c80319c")
    (line,) = parsed(capsys.readouterr().err)
    expected = {
        "event": "verdict",
        "delivery_id": "d-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "model": "cnn 1",
        "policy": "p1",
        "decision": "REJECT",
        "reason": "LOSSY_TRACES",
        "probability": 0.9877,
        "codec": "mp3",
        "topic": "lossgate.deliveries",
        "partition": 3,
        "offset": 41,
        "decode_s": 0.1235,
        "detect_s": 0.5,
        "total_s": 1.0,
        "event_id": str(UUID(int=2)),
    }
    assert expected == {key: line[key] for key in expected}


def test_canonical_line_of_a_hostile_delivery_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Delivery ids and providers come from outside: they can forge no second line and drive no terminal."""
    configure_logging("json", "info")
    evil = 'd\n{"event":"verdict","decision":"ACCEPT"}\x1b[2J\u202e'
    verdict = make_verdict(evil)
    canonical_line(dataclasses.replace(verdict, delivery=dataclasses.replace(verdict.delivery, provider=evil)))
    written = capsys.readouterr().err
    (line,) = parsed(written)
    assert line["decision"] == "REJECT"
    assert line["delivery_id"] == line["provider"] == 'd\\x0a{"event":"verdict","decision":"ACCEPT"}\\x1b[2J\\u202e'


def test_canonical_line_of_a_dead_letter(capsys: pytest.CaptureFixture[str]) -> None:
    """An event that can't be read is a warning with the reason and its place; its bytes stay out of the log."""
    configure_logging("json", "info")
    letter = DeadLetter(
        UUID(int=1), DeadLetterReason.UNDECODABLE, "Not Avro.", SOURCE, b"k", b"secret payload", (), "0.1.0", WHEN
    )
    canonical_line(letter)
    written = capsys.readouterr().err
    (line,) = parsed(written)
    assert (line["event"], line["level"], line["reason"]) == ("dead_letter", "warning", "UNDECODABLE")
    assert (line["topic"], line["partition"], line["offset"]) == ("lossgate.deliveries", 3, 41)
    assert "payload" not in written


def test_printable_leaves_letters_alone_and_cuts() -> None:
    """Names in any script stay readable; what is too long is cut with a mark."""
    assert printable("Sigur Rós / 宇多田ヒカル") == "Sigur Rós / 宇多田ヒカル"
    assert printable("a" * 10, limit=4) == "aaaa… (6 more)"
    assert printable("\r\t\x7f") == "\\x0d\\x09\\x7f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://cdn/a.flac", "https://cdn/a.flac"),
        ("s3://masters/token/a.flac", "s3://masters/token/a.flac"),
        ("kafka://u:p@host:9092", "kafka://***@host:9092"),
        ("password: 'x y'", "password: '*** y'"),
        ("https://cdn/a@b.flac", "https://cdn/a@b.flac"),
    ],
)
def test_redact(text: str, expected: str) -> None:
    """Only what is a secret is masked; ordinary URIs stay as they are."""
    assert redact(text) == expected


def test_tensorflow_stays_silent() -> None:
    """With the quiet setting, importing TensorFlow and its I/O prints nothing past the log."""
    program = (
        "from worker.logs import quiet_tensorflow; quiet_tensorflow()\n"
        "import tensorflow as tf, tensorflow_io\n"
        "tf.config.set_visible_devices([], 'GPU')\n"
        "tf.constant(1) + 1\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert (done.stdout, done.stderr) == ("", "")
