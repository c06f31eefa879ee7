"""What `lossgate` ends with.  The README's table says the same; a test keeps the two equal."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    REJECTED = 1
    USAGE = 2
    REVIEW = 3
    FAILED = 4
    INTERRUPTED = 130
    STDOUT_CLOSED = 141
    TERMINATED = 143


MEANINGS = {
    ExitCode.DONE: "Done. For `check`: every file was accepted. For `run`: stopped on SIGTERM or Ctrl-C, all drained.",
    ExitCode.REJECTED: "`check`: at least one file was rejected.",
    ExitCode.USAGE: "The command line was not understood, or a setting can't work; nothing was done.",
    ExitCode.REVIEW: "`check`: no file was rejected, but at least one needs a person's look.",
    ExitCode.FAILED: "It failed on the way: Kafka out of reach, an event not taken, a fault that can't be repaired.",
    ExitCode.INTERRUPTED: "Ended by Ctrl-C before it was done.",
    ExitCode.STDOUT_CLOSED: "The reader of the output went away (`| head`).",
    ExitCode.TERMINATED: "Ended by SIGTERM before it was done.",
}
