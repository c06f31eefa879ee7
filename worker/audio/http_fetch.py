"""Bodies over http(s): no redirects, no content encodings, status codes translated into reasons."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from worker.exceptions import TransientError, UnusableAudioError
from worker.records import FetchFault, Reason

_LONGEST_SILENCE_S = 10.0
# A compressed body would count and hash differently from the object.
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "lossgate"}
_NOT_FOUND = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407})
_THROTTLED = frozenset({429, 503})
_PASSING = frozenset({408, 425})
_SERVER_ERRORS = range(500, 600)


@contextmanager
def open_body(url: str, seconds_left: float) -> Iterator[tuple[str | None, Iterator[bytes]]]:
    """Ask for an object; gives its ETag and the chunks of its body, as they arrive.

    Args:
        url: its address.
        seconds_left: no silence may last longer than this.

    Raises:
        UnusableAudioError: the server answers with anything but 200.
        TransientError: the connection failed, or the server says that it may work later.
    """
    try:
        with (
            httpx.Client(
                timeout=min(_LONGEST_SILENCE_S, max(seconds_left, 0.1)), follow_redirects=False, headers=_HEADERS
            ) as client,
            client.stream("GET", url) as response,
        ):
            _check_status(response)
            yield response.headers.get("etag"), response.iter_raw()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UnusableAudioError(Reason.URI_NOT_ALLOWED, f"The URI can't be asked for: {error}.") from None
    except httpx.TimeoutException as error:
        raise TransientError(f"The server fell silent ({type(error).__name__})", FetchFault.SLOW) from error
    except httpx.TransportError as error:
        what = str(error) or type(error).__name__
        raise TransientError(f"The connection failed: {what}", FetchFault.CONNECTION) from error


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            msg = f"The server insists on the content encoding {encoding!r}; serve the file as it is."
            raise UnusableAudioError(Reason.FETCH_FAILED, msg)
        return
    if status in _NOT_FOUND:
        raise UnusableAudioError(Reason.NOT_FOUND, f"The server says {status}: the object isn't there.")
    if status in _DENIED:
        raise UnusableAudioError(Reason.ACCESS_DENIED, f"The server says {status}: the worker may not read the object.")
    if response.is_redirect:
        msg = f"The server answers with a redirect ({status}); redirects aren't followed, deliver the final address."
        raise UnusableAudioError(Reason.URI_NOT_ALLOWED, msg)
    if status in _THROTTLED:
        raise TransientError(f"The server says {status}", FetchFault.THROTTLED)
    if status in _PASSING or status in _SERVER_ERRORS:
        raise TransientError(f"The server says {status}", FetchFault.STORE)
    raise UnusableAudioError(Reason.FETCH_FAILED, f"The server answers with status {status} instead of the object.")
