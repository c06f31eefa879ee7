"""Which objects may be read at all.  Pure: nothing here touches a disk or a network.

A URI is taken apart once, anything that two programs could read differently is refused
(dot segments, empty segments, encoded slashes, credentials, control characters),
and the rest is compared with the allowed prefixes segment by segment:
`/data/in` allows `/data/in/a.flac` but not `/data/infinite/a.flac`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from worker.exceptions import SettingsError, UnusableAudioError
from worker.records import Reason

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_DECODINGS = 8


@dataclass(frozen=True, slots=True)
class ObjectUri:
    """One object in normal form."""

    scheme: str  # "file", "s3", "http" or "https"
    host: str  # bucket, or host with port where it isn't the default; empty for files
    segments: tuple[str, ...]  # of the path, decoded
    location: str  # what the store opens: a path for files, a URI for the others


class AllowList:
    """The allowed prefixes.

    Args:
        prefixes: URI prefixes or absolute paths, as in `LOSSGATE_ALLOWED_URI_PREFIXES`.

    Raises:
        SettingsError: a prefix can't be understood.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = tuple(map(_parse_prefix, prefixes))

    @property
    def folders(self) -> tuple[str, ...]:
        """The prefixes that are local paths."""
        return tuple(prefix.location for prefix in self._prefixes if prefix.scheme == "file")

    def admit(self, uri: str) -> ObjectUri:
        """Normalise a URI and check that it lies under an allowed prefix.

        Raises:
            UnusableAudioError: it doesn't, or it is written in a way that isn't accepted.
        """
        try:
            wanted = parse_uri(uri)
        except ValueError as error:
            raise UnusableAudioError(Reason.URI_NOT_ALLOWED, f"The URI {uri[:200]!r} is refused: {error}.") from None
        if not any(_covers(prefix, wanted) for prefix in self._prefixes):
            msg = (
                f"The URI {uri[:200]!r} lies under none of the allowed prefixes; "
                "if it should be read, add its folder to LOSSGATE_ALLOWED_URI_PREFIXES."
            )
            raise UnusableAudioError(Reason.URI_NOT_ALLOWED, msg)
        return wanted


def is_inside(path: str, folders: Iterable[str]) -> bool:
    """Tell whether an absolute, resolved path is one of the folders or lies in one; compares whole segments."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def parse_uri(uri: str) -> ObjectUri:
    """Normalise the URI of one object.

    Raises:
        ValueError: the URI isn't accepted; the message completes "is refused: …".
    """
    parsed = _parse(uri)
    path = uri.partition("?")[0] if parsed.scheme in _DEFAULT_PORTS else uri
    if not parsed.segments or path.endswith("/"):
        raise ValueError("it names a folder, not an object")
    return parsed


def _parse_prefix(prefix: str) -> ObjectUri:
    try:
        parsed = _parse(prefix.rstrip("/") or "/") if prefix.startswith("/") else _parse(prefix)
    except ValueError as error:
        msg = f"LOSSGATE_ALLOWED_URI_PREFIXES holds {prefix!r}, which can't be used: {error}."
        raise SettingsError(msg) from None
    if "?" in prefix and parsed.scheme in _DEFAULT_PORTS:
        msg = f"LOSSGATE_ALLOWED_URI_PREFIXES holds {prefix!r}; a prefix can't have a query, drop the part from '?'."
        raise SettingsError(msg)
    return parsed


def _parse(uri: str) -> ObjectUri:
    if _CONTROL.search(uri):
        raise ValueError("it contains a control character")
    if not _can_be_encoded(uri):
        raise ValueError("it holds characters that no name can hold (lone surrogates)")
    if uri.startswith("/"):
        return _local(uri)
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.lower()
    if not colon:
        raise ValueError("it has no scheme and isn't an absolute path")
    if scheme == "file":
        return _file(rest)
    if not rest.startswith("//"):
        raise ValueError(f"{scheme!r} isn't followed by '://'")
    if scheme == "s3":
        return _s3(rest[2:])
    if scheme in _DEFAULT_PORTS:
        return _http(scheme, rest)
    raise ValueError(f"the scheme {scheme!r} isn't supported (file, s3, http, https are)")


def _can_be_encoded(uri: str) -> bool:
    """Whether it is text, or the name of a local file that is none: Python writes its bytes as U+DC80 to U+DCFF."""
    try:
        uri.encode("utf-8", "surrogateescape" if uri.startswith(("/", "file:")) else "strict")
    except UnicodeEncodeError:
        return False
    return True


def _local(path: str) -> ObjectUri:
    segments = tuple(segment for segment in path.split("/") if segment)
    _refuse_dots(segments)
    return ObjectUri("file", "", segments, "/" + "/".join(segments))


def _file(rest: str) -> ObjectUri:
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise ValueError(f"it names the host {host!r}; local files only")
        rest = slash + path
    if not rest.startswith("/"):
        raise ValueError("its path isn't absolute")
    if "?" in rest or "#" in rest:
        raise ValueError("a file URI can't have a query or a fragment (write '?' as %3F, '#' as %23)")
    return _local("/".join(_decode(segment) for segment in rest.split("/")))


def _s3(rest: str) -> ObjectUri:
    bucket, _, key = rest.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", bucket):
        raise ValueError(f"{bucket!r} isn't a bucket's name")
    # Keys are literal: tensorflow-io asks for exactly these characters, `%20` is not a space.
    segments = _strict_segments(key)
    _refuse_dots(segments)
    return ObjectUri("s3", bucket, segments, f"s3://{bucket}/" + "/".join(segments))


def _http(scheme: str, rest: str) -> ObjectUri:
    try:
        parts = urlsplit(f"{scheme}:{rest}")
    except ValueError:  # whose message repeats the host as it is
        raise ValueError("its host can't be read") from None
    if "@" in parts.netloc:
        raise ValueError("it carries credentials")
    if "#" in rest:
        raise ValueError("it has a fragment")
    if not parts.hostname or "\\" in rest or not parts.netloc.isascii() or "%" in parts.netloc:
        raise ValueError("its host can't be read")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    if parts.port not in (None, _DEFAULT_PORTS[scheme]):
        host += f":{parts.port}"
    raw = _strict_segments(parts.path.removeprefix("/"))
    segments = tuple(map(_decode, raw))
    _refuse_dots(segments)
    query = f"?{parts.query}" if parts.query else ""
    return ObjectUri(scheme, host, segments, f"{scheme}://{host}/" + "/".join(raw) + query)


def _strict_segments(path: str) -> tuple[str, ...]:
    """Split a remote path; one trailing slash is dropped, other empty segments are refused."""
    path = path.removesuffix("/")
    segments = tuple(path.split("/")) if path else ()
    if "" in segments:
        raise ValueError("it has an empty path segment ('//')")
    return segments


def _decode(segment: str) -> str:
    """Percent-decode one segment once; refuse what hides a separator or dots at any depth."""
    decoded = once = unquote(segment, errors="strict")
    for _ in range(_MAX_DECODINGS):
        if _CONTROL.search(decoded) or "/" in decoded or "\\" in decoded:
            raise ValueError("its percent-encoding hides a separator or a control character")
        if decoded in (".", ".."):
            raise ValueError("it has a '.' or '..' segment")
        previous, decoded = decoded, unquote(decoded)
        if decoded == previous:
            return once
    raise ValueError("it is percent-encoded too many times")


def _refuse_dots(segments: Sequence[str]) -> None:
    if any(segment in (".", "..") for segment in segments):
        raise ValueError("it has a '.' or '..' segment")


def _covers(prefix: ObjectUri, wanted: ObjectUri) -> bool:
    return (prefix.scheme, prefix.host) == (wanted.scheme, wanted.host) and (
        wanted.segments[: len(prefix.segments)] == prefix.segments
    )
