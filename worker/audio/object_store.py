"""Opens the object behind a URI: size, version tag, bytes; whole and hashed where that is asked for.

What was measured of the stores, and shaped this file:

- tensorflow-io's `stat` of `s3://` says "not found" for 403 and for a dead endpoint as well; its *read* tells
  them apart, so the first bytes are read before `stat` is asked for the size.  It knows no ETag:
  the version tag is size and modification time.
- It believes what a store says of a range's length, so a store that errs there makes sound audio look damaged:
  the bytes that came are counted.
- A window read through tensorflow-io from `s3://` costs about 128 requests (8 KiB each, HEAD and GET).
- Its `http://` needs range requests and checks no limit, so http(s) is fetched whole with httpx instead.

Temporary files have no name (`O_TMPFILE`): however the child ends, the kernel takes the space back.
"""

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from worker.audio import http_fetch, s3_files
from worker.audio.allow_list import AllowList, ObjectUri, is_inside
from worker.audio.limits import Limits
from worker.constants import MIB
from worker.exceptions import TransientError, UnusableAudioError
from worker.records import FetchFault, Reason

_CHUNK_BYTES = MIB


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object, open."""

    path: str  # what tensorflow-io opens
    stream: IO[bytes]  # seekable
    size_bytes: int
    version_tag: str | None
    sha256: str | None
    is_remote: bool = False  # read in slices over the network

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset`` on, fewer at the end of the object."""
        self.stream.seek(offset)
        return self.stream.read(length)


@contextmanager
def open_object(
    uri: ObjectUri, allow_list: AllowList, limits: Limits, expected_sha256: str | None, *, whole: bool = False
) -> Iterator[StoredObject]:
    """Open an object; it is closed (and its temporary file gone) when the block ends.

    Args:
        uri: admitted by the allow-list.
        allow_list: asked again for what a local path resolves to.
        limits: sizes and the fetch's own deadline.
        expected_sha256: the whole object is read and must have this hash.
        whole: read the whole object whatever its size.

    Raises:
        UnusableAudioError: it isn't there, may not be read, is too large or has the wrong hash.
        TransientError: it may work in a moment.
    """
    with ExitStack() as stack:
        if uri.scheme == "file":
            stored = _open_local(uri, allow_list, limits, stack)
        elif uri.scheme == "s3":
            stored = _open_s3(uri, limits, stack, whole=whole or expected_sha256 is not None)
        else:
            stored = _fetch_http(uri, limits, stack)
        if stored.sha256 is None and not stored.is_remote:
            wanted = whole or expected_sha256 is not None or stored.size_bytes <= limits.whole_object_bytes
            stored = replace(stored, sha256=_hash(stored, limits)) if wanted else stored
        if expected_sha256 is not None and stored.sha256 != expected_sha256:
            msg = f"The object's SHA-256 is {stored.sha256}, the event expects {expected_sha256}; deliver it again."
            raise UnusableAudioError(Reason.CHECKSUM_MISMATCH, msg)
        yield stored


def check_unchanged(uri: ObjectUri, stored: StoredObject) -> None:
    """Make sure that slices read one after another came from one version of the object.

    Raises:
        TransientError: it was replaced meanwhile.
    """
    if stored.sha256 is not None or stored.version_tag is None:
        return
    if stored.is_remote:
        _, tag = s3_files.stat_object(uri.location)
    else:
        tag = _local_tag(os.fstat(stored.stream.fileno()))
    if tag != stored.version_tag:
        raise TransientError("The object was replaced while it was read", FetchFault.CHANGED)


def _open_local(uri: ObjectUri, allow_list: AllowList, limits: Limits, stack: ExitStack) -> StoredObject:
    path = uri.location
    try:
        # Non-blocking, so that a named pipe can't hold the child; what it is gets checked on the open descriptor.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        raise UnusableAudioError(Reason.NOT_FOUND, f"There is no file {path!r}.") from None
    except PermissionError:
        raise UnusableAudioError(Reason.ACCESS_DENIED, f"The worker may not read {path!r}.") from None
    except OSError as error:
        msg = f"The file {path!r} can't be opened: {error.strerror}."
        raise UnusableAudioError(Reason.NOT_FOUND, msg) from None
    stack.callback(os.close, descriptor)
    descriptor_path = f"/proc/self/fd/{descriptor}"
    # The open descriptor is asked where it leads: a link swapped in the meantime changes nothing.
    resolved = str(Path(descriptor_path).readlink())
    if not is_inside(resolved, map(os.path.realpath, allow_list.folders)):
        msg = f"The path {path!r} leads through a link to {resolved!r}, outside the allowed prefixes."
        raise UnusableAudioError(Reason.URI_NOT_ALLOWED, msg)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnusableAudioError(Reason.UNSUPPORTED_FORMAT, f"{path!r} is {_kind(status.st_mode)}, not a regular file.")
    limits.check_size(status.st_size)
    stream = stack.enter_context(os.fdopen(descriptor, "rb", closefd=False))
    return StoredObject(descriptor_path, stream, status.st_size, _local_tag(status), sha256=None)


def _local_tag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device")


def _open_s3(uri: ObjectUri, limits: Limits, stack: ExitStack, *, whole: bool) -> StoredObject:
    stream = stack.enter_context(s3_files.open_stream(uri.location))
    size, tag = s3_files.stat_object(uri.location)
    limits.check_size(size)
    if not whole and size > limits.whole_object_bytes:
        return StoredObject(uri.location, stream, size, tag, sha256=None, is_remote=True)
    stream.seek(0)
    kept = _keep(iter(partial(stream.read, _CHUNK_BYTES), b""), limits, tag, stack)
    if kept.size_bytes != size:
        msg = f"Only {kept.size_bytes:,} of {size:,} bytes of the object came"
        raise TransientError(msg, FetchFault.CONNECTION)
    return kept


def _fetch_http(uri: ObjectUri, limits: Limits, stack: ExitStack) -> StoredObject:
    tag, chunks = stack.enter_context(http_fetch.open_body(uri.location, limits.fetch_seconds_left))
    return _keep(chunks, limits, tag, stack)


def _keep(chunks: Iterator[bytes], limits: Limits, tag: str | None, stack: ExitStack) -> StoredObject:
    """Write a body into an unnamed temporary file, hashing it; the bytes that really arrive are counted."""
    kept = stack.enter_context(tempfile.TemporaryFile(prefix="lossgate-"))  # noqa: SIM115 -- the stack closes it
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        limits.check_size(size)
        limits.check_time(size)
        digest.update(chunk)
        kept.write(chunk)
    kept.flush()
    kept.seek(0)
    return StoredObject(f"/proc/self/fd/{kept.fileno()}", kept, size, tag, digest.hexdigest())


def _hash(stored: StoredObject, limits: Limits) -> str:
    digest, size = hashlib.sha256(), 0
    stored.stream.seek(0)
    try:
        while chunk := stored.stream.read(_CHUNK_BYTES):
            size += len(chunk)
            limits.check_time(size)
            digest.update(chunk)
    except OSError as error:
        raise TransientError(f"Reading failed after {size:,} bytes: {error.strerror}") from error
    with suppress(io.UnsupportedOperation):
        stored.stream.seek(0)
    return digest.hexdigest()
