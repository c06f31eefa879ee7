"""Hypothesis strategies that damage bytes the way disks, networks and senders do."""

from collections.abc import Sequence

from hypothesis import strategies as st

_INTERESTING = st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255)


class Damaged(bytes):
    """Bytes that don't fill the screen where a case fails; hypothesis prints how to repeat it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if len(self) < 1_000 else f"<{len(self):,} bytes>"


@st.composite
def mutated(draw: st.DrawFn, originals: Sequence[bytes], hot: Sequence[int] = ()) -> bytes:
    """One of the originals with one to four places changed: overwritten, inserted, removed, repeated or cut off.

    Args:
        draw: hypothesis's.
        originals: valid bytes.
        hot: ends of the stretches from the start in which damage says most, such as the header's length.
    """
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        reach = min(draw(st.sampled_from([*hot, len(data)])), len(data))
        place = draw(st.integers(0, max(reach - 1, 0)))
        kind = draw(st.sampled_from(["bit", "byte", "bytes", "insert", "remove", "repeat", "cut"]))
        if kind == "bit" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[place] = draw(_INTERESTING)
        elif kind == "bytes":
            junk = draw(st.binary(min_size=1, max_size=8))
            data[place : place + len(junk)] = junk
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "remove":
            del data[place : place + draw(st.integers(1, 64))]
        elif kind == "repeat":
            data[place:place] = data[place : place + draw(st.integers(1, 64))]
        elif kind == "cut":
            del data[place + 1 :]
    return Damaged(data)
