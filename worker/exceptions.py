"""Every exception Lossgate raises on purpose, as a table.

============================  =======================================================
`LossgateError`               base of all below
`SettingsError`               settings that can't work: says which, and what to set
`BadEventError`               event that can't be read       → dead letter
`UnusableAudioError`          audio that can't be judged     → review verdict
`TransientError`              may work in a moment           → retry, retries topic, then review
`FatalError`                  this process must not go on    → drain, exit non-zero
`BrakeError`                  too many dead letters          → publish no more, wait for
                                                               a person; exit non-zero
any other, in the reader      a bug, one event               → dead letter, loud
any other, in the pipeline    a bug, one delivery            → review verdict, loud
any other, in a lane          a bug, or no memory            → exit non-zero; counted like a
                                                               death of the process, see
                                                               `worker.kafka.attempts`
death of the process          killed, out of memory, crash   → counted; after some alone with
                                                               one delivery: dead letter
                                                               `QUARANTINED`
============================  =======================================================
"""

from collections.abc import Mapping
from types import MappingProxyType

from worker.records import DeadLetterReason, FetchFault, Reason


class LossgateError(Exception):
    """Base of every error Lossgate raises on purpose."""


class SettingsError(LossgateError):
    """A setting is missing or contradicts another; the message names it and what to set."""


class BadEventError(LossgateError):
    """The event can't be read and becomes a dead letter.

    Args:
        reason: the machine-readable reason, published in the dead letter.
        detail: one plain sentence for a person.
    """

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the error survives pickling
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class UnusableAudioError(LossgateError):
    """The audio can't be judged; the delivery gets a review verdict with this reason.

    Raised in decoder children too, so it must survive pickling.

    Args:
        reason: the machine-readable reason, published in the verdict.
        detail: one plain sentence for a person.
        passing: why it could not be fetched, if a later try may do better.

    Attributes:
        stage_seconds: how long it took to find that out, by stage, as far as that is known; for log and metrics.
    """

    stage_seconds: Mapping[str, float] = MappingProxyType({})

    def __init__(self, reason: Reason, detail: str, passing: FetchFault | None = None) -> None:
        super().__init__(reason, detail, passing)
        self.reason = reason
        self.detail = detail
        self.passing = passing

    def __str__(self) -> str:
        return self.detail


class TransientError(LossgateError):
    """Something outside failed in a way that may pass: retried with backoff and jitter.

    Args:
        message: what failed, for a person.
        fault: the kind of it, where an object was fetched.
    """

    def __init__(self, message: str, fault: FetchFault = FetchFault.STORE) -> None:
        super().__init__(message)
        self.fault = fault


class FatalError(LossgateError):
    """This process must not go on: drain, exit non-zero, let another replica take over."""


class BrakeError(FatalError):
    """The worker stopped after its dead-letter brake had engaged: something is wrong with the events, or with us."""
