"""Bad input through the whole worker: each ends in its verdict or dead letter, and the worker goes on."""

import hashlib
import http.server
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import (
    Topics,
    delivery_of,
    publish,
    read_dead_letters,
    read_verdicts,
    wait_for,
    wire,
    worker_process,
    worker_settings,
    write_flac,
)
from worker.cli.exit_codes import ExitCode
from worker.records import DeadLetterReason, Decision, Reason

TOTAL_SAMPLES_BYTES = slice(22, 26)
"""Low 32 bits of total_samples in a FLAC file: magic (4), block header (4), STREAMINFO byte 14."""


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that has nothing."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 -- the base class names the method

        def log_message(self, *arguments: object) -> None:
            """Keep the test's output quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def _get(port: int, path: str) -> tuple[int, str]:
    answer = httpx.get(f"http://127.0.0.1:{port}/{path}")
    return answer.status_code, answer.text


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_each_bad_input_has_its_end_and_the_worker_goes_on(
    local_kafka: LocalKafka, topics: Topics, free_ports: list[int], quick_detector: Path, tmp_path: Path, web: str
) -> None:
    """The list no worker may hang, die or fall silent on; a good delivery behind all of it is still judged.

    By a detector that starts at once and finds nothing: what is guarded lies before it.

    When nothing but garbage comes after that, the worker stops before it has made dead letters of all of it:
    alive, not ready, and with an exit code that says so.
    """
    allowed, outside = tmp_path / "in", tmp_path / "out"
    allowed.mkdir()
    outside.mkdir()
    good = write_flac(allowed / "good.flac")
    secret = write_flac(outside / "secret.flac")
    lying = allowed / "lying.flac"
    content = bytearray(write_flac(allowed / "honest.flac").read_bytes())
    content[TOTAL_SAMPLES_BYTES] = (44_100 * 3600).to_bytes(4, "big")
    lying.write_bytes(content)
    (allowed / "empty.flac").touch()
    (allowed / "noise.flac").write_bytes(hashlib.sha256(b"noise").digest() * 100)
    samples, rate = soundfile.read(good)
    soundfile.write(allowed / "wave.flac", samples, rate, format="WAV", subtype="PCM_16")
    soundfile.write(allowed / "one.flac", samples[:1], rate, format="FLAC", subtype="PCM_16")

    expected = {
        "lying": (str(lying), Reason.CORRUPT),
        "empty": (str(allowed / "empty.flac"), Reason.EMPTY),
        "noise": (str(allowed / "noise.flac"), Reason.UNSUPPORTED_FORMAT),
        "one-sample": (str(allowed / "one.flac"), Reason.TOO_SHORT),
        "missing": (str(allowed / "missing.flac"), Reason.NOT_FOUND),
        "http-404": (f"{web}missing.flac", Reason.NOT_FOUND),
        "outside": (str(secret), Reason.URI_NOT_ALLOWED),
        "dotdot": (f"{allowed}/../out/secret.flac", Reason.URI_NOT_ALLOWED),
        "scheme": ("gopher://127.0.0.1/x.flac", Reason.URI_NOT_ALLOWED),
    }
    codec = wire()
    valid = codec.encode_delivery(delivery_of(str(good), "extended"))
    records = [
        b"",
        b"\x93not avro at all",
        valid + b"\x00",
        *(codec.encode_delivery(delivery_of(uri, name)) for name, (uri, _) in expected.items()),
        codec.encode_delivery(delivery_of(str(good), "wrong-hash", expected_sha256="0" * 64)),
        codec.encode_delivery(delivery_of(str(allowed / "wave.flac"), "wave")),
        codec.encode_delivery(delivery_of(str(good), "good")),
    ]
    bootstrap = local_kafka.bootstrap_servers
    publish(bootstrap, topics.deliveries, records)
    settings = worker_settings(bootstrap, topics, allowed, free_ports[0])
    settings["LOSSGATE_MODEL_DIR"] = str(quick_detector)
    settings["LOSSGATE_BRAKE_DEAD_LETTERS"] = "3"
    settings["LOSSGATE_ALLOWED_URI_PREFIXES"] = f'["{allowed}/", "{web}"]'
    with worker_process(settings, tmp_path / "worker.log") as process:
        wait_for(len(expected) + 3, bootstrap, topics.verdicts, within_s=120)
        assert process.poll() is None
        publish(bootstrap, topics.deliveries, [b"garbage"] * 300)
        port = int(settings["LOSSGATE_HEALTH_PORT"])
        while (ready := _get(port, "ready"))[0] != 503:
            time.sleep(0.1)
        assert "dead-letter brake" in ready[1]
        assert _get(port, "live")[0] == 200
        assert "lossgate_brake_engaged 1.0" in _get(port, "metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == ExitCode.FAILED
    verdicts = {verdict.delivery.delivery_id: verdict for verdict in read_verdicts(bootstrap, topics.verdicts, codec)}
    for name, (_, reason) in expected.items():
        assert (verdicts[name].judgement.decision, verdicts[name].judgement.reason) == (Decision.REVIEW, reason), name
    assert verdicts["wrong-hash"].judgement.reason is Reason.CHECKSUM_MISMATCH
    for name in ("good", "wave"):
        assert verdicts[name].judgement.probability is not None, name
    letters = sorted(read_dead_letters(bootstrap, topics.dead_letters, codec), key=lambda letter: letter.source.offset)
    assert [letter.value for letter in letters] == records[:3]
    assert [letter.reason for letter in letters] == [
        DeadLetterReason.NOT_WIRE_FORMAT,
        DeadLetterReason.NOT_WIRE_FORMAT,
        DeadLetterReason.TRAILING_BYTES,
    ]
