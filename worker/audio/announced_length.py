"""A FLAC that doesn't say how long it is, with the length filled in while it is read."""

import io
from typing import IO, Any

from worker.audio.container import ContainerInfo

_TOTAL_SAMPLES_BITS = 36
_FIELD_OFFSET, _FIELD_BYTES = 18, 8  # rate, channels, depth and length share eight bytes of STREAMINFO


class AnnouncedLength(io.RawIOBase):
    """The stream with `total_samples` written into the STREAMINFO that readers see.

    Args:
        stream: the file.
        info: its header.
        total_samples: the length found at its end.
    """

    def __init__(self, stream: IO[bytes], info: ContainerInfo, total_samples: int) -> None:
        self._stream = stream
        self._field_at = info.prefix_bytes + _FIELD_OFFSET
        stream.seek(self._field_at)
        packed = int.from_bytes(stream.read(_FIELD_BYTES), "big") >> _TOTAL_SAMPLES_BITS << _TOTAL_SAMPLES_BITS
        self._field = (packed | total_samples).to_bytes(_FIELD_BYTES, "big")
        stream.seek(0)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move in the stream."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Position in the stream."""
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        """Read, with the length filled in."""
        view = memoryview(buffer).cast("B")
        start = self._stream.tell()
        data = bytearray(self._stream.read(len(view)))
        for index, byte in enumerate(self._field, self._field_at - start):
            if 0 <= index < len(data):
                data[index] = byte
        view[: len(data)] = data
        return len(data)
