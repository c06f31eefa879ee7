"""The decoder child: `python -m worker.audio.decoder_child FD SETTINGS`, started by `decoder_pool` only.

It reads one object at a time and may be killed at any moment.
"""

import json
import os
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection

from worker.audio.allow_list import AllowList
from worker.audio.child_protocol import DECODING, FETCHING, READY, Answer, receive_request, send_answer
from worker.audio.limits import Limits
from worker.audio.memory_limit import limit_memory
from worker.exceptions import UnusableAudioError
from worker.records import Reason


def main() -> None:
    """Serve requests until the worker hangs up."""
    descriptor, settings = int(sys.argv[1]), json.loads(sys.argv[2])
    # Ctrl-C and `kill` of the whole group mean the worker; it drains and then hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with(descriptor)
    connection = Connection(descriptor)
    allow_list = AllowList(settings["allowed_uri_prefixes"])

    import tensorflow as tf  # noqa: PLC0415 -- after the watch is set: this takes seconds

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    from worker.audio.decode import warm_up  # noqa: PLC0415 -- loads tensorflow-io
    from worker.audio.read import read_object  # noqa: PLC0415

    warm_up()
    limit_memory(settings["memory_bytes"])
    connection.send_bytes(READY)
    retries = 0

    def count_retry() -> None:
        nonlocal retries
        retries += 1

    while True:
        try:
            request = receive_request(connection)
        except EOFError:
            break
        retries = 0
        limits = Limits(**settings["limits"])
        try:
            uri = allow_list.admit(request.uri)
            connection.send_bytes(FETCHING)
            audio = read_object(
                uri,
                allow_list,
                limits,
                request.expected_sha256,
                before_retry=count_retry,
                on_held=lambda: connection.send_bytes(DECODING),
            )
        except UnusableAudioError as error:
            answer = Answer(retries, error=error)
        except MemoryError:
            answer = Answer(
                retries,
                error=UnusableAudioError(
                    Reason.DECODER_CRASHED,
                    "The decoder would take more memory for this object than LOSSGATE_DECODER_MEMORY_BYTES allows.",
                ),
            )
        else:
            answer = Answer(retries, audio=audio)
        send_answer(connection, answer)
    os._exit(0)  # tensorflow-io's s3 filesystem aborts in a regular exit


def _die_with(descriptor: int) -> None:
    """End this process when the worker's end of the connection closes, whatever the main thread is doing."""

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLHUP)
        while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="watch-worker").start()


if __name__ == "__main__":
    main()
