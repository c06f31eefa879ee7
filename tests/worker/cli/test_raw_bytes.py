"""Bytes of strangers on a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from worker.cli.raw_bytes import shown


@given(st.binary(max_size=300), st.integers(1, 300))
def test_no_control_character_survives(raw: bytes, most: int) -> None:
    """Whatever the bytes, only printable lines come out."""
    for line in shown(raw, most):
        assert line.isprintable()


def test_text_is_escaped_and_the_rest_dumped() -> None:
    """UTF-8 text is shown as text with its escapes, anything else as hex beside ASCII."""
    assert shown("Ægir\n\u202ex".encode(), 100) == ["Ægir\\x0a\\u202ex"]
    assert shown(b"\x1b[31mred", 100) == ["00000000  1b 5b 33 31 6d 72 65 64                          .[31mred"]


def test_what_is_cut_is_counted() -> None:
    """A character cut in two does not turn a text into a dump, and what is missing is said."""
    assert shown("aÆ".encode(), 2) == ["a", "… and 1 bytes more"]
