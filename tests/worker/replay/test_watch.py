"""A replay's progress is looked at until it is done, on a thread that ends with it."""

import threading
from collections import deque

from worker.exceptions import TransientError
from worker.replay.progress import Progress
from worker.replay.repeated_look import RepeatedLook
from worker.replay.watch import Watch


def test_it_looks_until_all_is_done_and_says_so_once() -> None:
    """Each look is told, one that fails is not the last, and nothing is asked of the brokers after the end."""
    answers: deque[int | Exception] = deque([1, TransientError("away"), 3, 4])
    told: list[int] = []
    is_done = threading.Event()

    def committed() -> int:
        answer = answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def report(progress: Progress) -> None:
        told.append(progress.done)

    watch = Watch(3, committed, on_done=is_done.set, report=report)
    with RepeatedLook(watch.look, 0.01, "watch"):
        assert is_done.wait(10)
    assert told == [1, 3]
    assert list(answers) == [4]


def test_a_look_ends_with_its_block() -> None:
    """A thread left behind would ask a client that is closed, which ends the process."""
    looked = threading.Event()
    with RepeatedLook(looked.set, 60, "endless") as look:
        assert looked.wait(10)
    assert not look._thread.is_alive()
