"""One object from URI to windows, tried again where that may help.  Runs in a decoder child."""

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from worker.audio.allow_list import AllowList, ObjectUri
from worker.audio.decode import decode_object
from worker.audio.limits import Limits
from worker.audio.object_store import check_unchanged, open_object
from worker.exceptions import TransientError, UnusableAudioError
from worker.records import DecodedAudio, Reason

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0


def read_object(
    uri: ObjectUri,
    allow_list: AllowList,
    limits: Limits,
    expected_sha256: str | None,
    before_retry: Callable[[], None] = lambda: None,
    on_held: Callable[[], None] = lambda: None,
) -> DecodedAudio:
    """Fetch and decode; passing failures are retried with backoff and jitter until the fetch's time is up.

    Args:
        uri: admitted by the allow-list.
        allow_list: asked again for what a local path resolves to.
        limits: sizes, tries and the deadline.
        expected_sha256: what the object must hash to.
        before_retry: told of each further try.
        on_held: told when all bytes are here, and whatever takes long now is decoding.

    Raises:
        UnusableAudioError: the object can't be judged.
    """

    def out_of_time(state: RetryCallState) -> bool:
        # `upcoming_sleep` is set before the stop condition is asked.
        return limits.fetch_seconds_left <= state.upcoming_sleep

    retrying = Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
        stop=lambda state: stop_after_attempt(limits.fetch_attempts)(state) or out_of_time(state),
        before_sleep=lambda _: before_retry(),
        reraise=True,
    )
    try:
        return retrying(_read_once, uri, allow_list, limits, expected_sha256, on_held)
    except TransientError as error:
        attempts = retrying.statistics.get("attempt_number", 1)
        msg = f"The object could not be fetched in {attempts} attempts; the last one: {error}."
        raise UnusableAudioError(Reason.FETCH_FAILED, msg, error.fault) from error


def _read_once(
    uri: ObjectUri, allow_list: AllowList, limits: Limits, expected_sha256: str | None, on_held: Callable[[], None]
) -> DecodedAudio:
    with open_object(uri, allow_list, limits, expected_sha256) as stored:
        if not stored.is_remote:
            on_held()
        try:
            audio = decode_object(stored, limits)
        except UnusableAudioError as error:
            # Over a network "damaged" may mean a failed request; say it only of bytes we hold.
            if error.reason is not Reason.CORRUPT or not stored.is_remote:
                raise
        else:
            check_unchanged(uri, stored)
            return audio
    with open_object(uri, allow_list, limits, expected_sha256, whole=True) as stored:
        on_held()
        return decode_object(stored, limits)
