"""Objects in S3 through tensorflow-io's filesystem, its errors translated into reasons.

Endpoint, region and credentials come from `S3_ENDPOINT`, `AWS_REGION` and the AWS variables and files.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import tensorflow as tf
import tensorflow_io  # noqa: F401 -- registers s3://

from worker.exceptions import TransientError, UnusableAudioError
from worker.records import FetchFault, Reason

_CURL_CODE = re.compile(r"curlCode: (\d+)")
_CURL_TIMED_OUT = "28"


class _Stream(io.RawIOBase):
    """A GFile as a seekable binary file, with the store's errors translated."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._file: Any = tf.io.gfile.GFile(location, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        with _translated(self._location):
            data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _translated(self._location):
            self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        with _translated(self._location):
            return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def open_stream(location: str) -> Iterator[IO[bytes]]:
    """Open an object and read its first bytes, which shows whether it is there and may be read."""
    with io.BufferedReader(_Stream(location), buffer_size=1 << 20) as stream:
        stream.peek(1)
        yield stream


def stat_object(location: str) -> tuple[int, str]:
    """Size and version tag of an object that was just read.

    `stat` says "not found" whatever went wrong, so here it means "try again".
    """
    try:
        found = tf.io.gfile.stat(location)
    except tf.errors.OpError as error:
        raise TransientError(f"The store lost sight of the object: {error.message}") from error
    return int(found.length), f"{found.length}-{found.mtime_nsec}"


@contextmanager
def _translated(location: str) -> Iterator[None]:
    try:
        yield
    except tf.errors.NotFoundError:
        raise UnusableAudioError(Reason.NOT_FOUND, f"There is no object {location!r}.") from None
    except (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError):
        raise UnusableAudioError(Reason.ACCESS_DENIED, f"The worker may not read {location!r}.") from None
    except tf.errors.OutOfRangeError:
        raise UnusableAudioError(Reason.EMPTY, "The object is empty (0 bytes); deliver it again.") from None
    except tf.errors.OpError as error:
        raise TransientError(f"The store failed: {error.message}", _fault(error.message)) from error


def _fault(message: str) -> FetchFault:
    """Tell a broken connection from a store that answers with an error; of those no status comes through."""
    code = _CURL_CODE.search(message)
    if code is None:
        return FetchFault.STORE
    return FetchFault.SLOW if code[1] == _CURL_TIMED_OUT else FetchFault.CONNECTION
