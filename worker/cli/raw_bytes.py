"""Bytes of strangers made safe to print: as text where they are text, else as a hex dump.  Pure."""

import codecs

from worker.logs import printable

_ROW = 16  # bytes
_PRINTABLE_ASCII = range(0x20, 0x7F)
_WIDEST = 200  # characters of text in one line


def shown(raw: bytes, most: int) -> list[str]:
    """Return lines without any control character; of `most` bytes at most, and a line about the rest."""
    lines = _text(raw[:most], is_whole=len(raw) <= most) or _hex_dump(raw[:most])
    if len(raw) > most:
        lines.append(f"… and {len(raw) - most} bytes more")
    return lines


def _text(raw: bytes, *, is_whole: bool) -> list[str] | None:
    """Return the lines of a text; None where this is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(raw, final=is_whole)
    except UnicodeDecodeError:
        return None
    if any(character < " " and character not in "\t\r\n" for character in text):
        return None
    escaped = printable(text, limit=4 * len(text) + 10)
    return [escaped[start : start + _WIDEST] for start in range(0, len(escaped), _WIDEST)] or ["(empty)"]


def _hex_dump(raw: bytes) -> list[str]:
    lines = []
    for start in range(0, len(raw), _ROW):
        row = raw[start : start + _ROW]
        ascii_text = "".join(chr(byte) if byte in _PRINTABLE_ASCII else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{3 * _ROW}} {ascii_text}")
    return lines
