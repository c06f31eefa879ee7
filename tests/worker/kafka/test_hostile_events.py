"""Bytes on the topics that nobody meant to write: a checked record or BadEventError, nothing else, and soon."""

import io
import json
import struct
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import cases
from tests.mutations import mutated
from tests.worker.kafka.records_for_tests import DEAD_LETTER, DELIVERY, VERDICT, dead_letters, deliveries, verdicts
from worker.constants import MAX_EVENT_BYTES, MIB
from worker.exceptions import BadEventError
from worker.kafka.avro_bounds import without_logical_types
from worker.kafka.avro_records import (
    EARLIEST,
    LATEST,
    MAX_ID_CHARACTERS,
    MAX_URI_CHARACTERS,
    check_delivery,
    delivery_to_avro,
)
from worker.kafka.schema_registry import published_schemas
from worker.kafka.wire import Wire
from worker.records import DeadLetter, DeadLetterReason, Delivery, Verdict
from worker.settings import Settings

WIRE: Final = Wire(Settings(_env_file=None))
PREFIX: Final = struct.pack(">bI", 0, 1)
DELIVERY_SCHEMA: Final = fastavro.parse_schema(without_logical_types(json.loads(published_schemas()[0].text)))

TEXT_FIELDS: Final = ("event_id", "delivery_id", "audio_uri", "provider")
OPTIONAL_FIELDS: Final = ("label", "track_id", "isrc", "expected_sha256")
WIDE_ISRC: Final = "".join(
    chr(ord(character) + 0xFEE0) for character in "DEA622600001"
)  # letters and digits, not ASCII
_MS: Final = timedelta(milliseconds=1)
_EARLIEST_MS: Final = int(EARLIEST.timestamp() * 1000)
_LATEST_MS: Final = int(LATEST.timestamp() * 1000)

_texts = st.text(max_size=40) | st.sampled_from(
    [
        "x" * MAX_ID_CHARACTERS,
        "x" * (MAX_ID_CHARACTERS + 1),
        "/" + "x" * (MAX_URI_CHARACTERS - 1),
        "/" + "x" * MAX_URI_CHARACTERS,
        "\U0001f3b5" * MAX_ID_CHARACTERS,
        "\x1b]0;title\x07",
        "\u202egnp.flac",
        "\ufeff",
        "a\u0000b",
        "{6f1d3b0a-58a0-4c39-9d55-3b8c6c1f7d11}",
        "6F1D3B0A-58A0-4C39-9D55-3B8C6C1F7D11",
        "DEA622600001",
        WIDE_ISRC,
        "\u0663" * 64,
        "a" * 64,
        "A" * 64,
        "a" * 64 + "\n",
    ]
)
_times = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(_EARLIEST_MS - 2, _EARLIEST_MS + 2)
    | st.integers(_LATEST_MS - 2, _LATEST_MS + 2)
)
_values = st.fixed_dictionaries(
    {
        **{name: _texts.filter(lambda text: text.isascii() or text.encode(errors="ignore")) for name in TEXT_FIELDS},
        **{name: st.none() | _texts for name in OPTIONAL_FIELDS},
        "delivered_at": _times,
    }
)


def raw(values: dict[str, Any]) -> bytes:
    """Avro of a delivery with any values at all, past every check."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, DELIVERY_SCHEMA, values)
    return PREFIX + buffer.getvalue()


def read_or_refused(value: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode; None where the bytes are refused as they should be."""
    try:
        return decode(value)
    except BadEventError as error:
        assert error.detail.endswith(".")
        assert len(error.detail) < 500
        assert error.detail.isprintable()
        assert error.reason in set(DeadLetterReason)
        return None


def check_read_delivery(delivery: Delivery) -> None:
    """What came through has passed every check and survives the wire again."""
    assert check_delivery(delivery) is delivery
    assert WIRE.decode_delivery(WIRE.encode_delivery(delivery)) == delivery


@cases(100)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(PREFIX.__add__))
def test_random_bytes(value: bytes) -> None:
    """Noise, with and without the prefix of a true event."""
    for decode in (WIRE.decode_delivery, WIRE.decode_verdict, WIRE.decode_dead_letter):
        read_or_refused(value, decode)


@cases(200)
@given(
    mutated([WIRE.encode_delivery(DELIVERY), raw(delivery_to_avro(DELIVERY) | {"event_id": "x", "delivered_at": 0})])
)
def test_mutated_deliveries(value: bytes) -> None:
    """Torn, spliced and flipped events: what still decodes has passed every check."""
    delivery = read_or_refused(value, WIRE.decode_delivery)
    if delivery is not None:
        check_read_delivery(delivery)


@cases(100)
@given(mutated([WIRE.encode_verdict(VERDICT)]))
def test_mutated_verdicts(value: bytes) -> None:
    """A damaged verdict ends a reader's look at this one record, never the reader."""
    verdict = read_or_refused(value, WIRE.decode_verdict)
    assert verdict is None or isinstance(verdict, Verdict)


@cases(100)
@given(mutated([WIRE.encode_dead_letter(DEAD_LETTER)]))
def test_mutated_dead_letters(value: bytes) -> None:
    """A damaged dead letter is refused or read, so that a listing of the topic goes on."""
    letter = read_or_refused(value, WIRE.decode_dead_letter)
    assert letter is None or isinstance(letter, DeadLetter)


@cases(100)
@given(_values)
def test_any_values_in_flawless_avro(values: dict[str, Any]) -> None:
    """Every field at, over and far from its limits: the worker takes what `lossgate submit` would send, no more."""
    try:
        value = raw(values)
    except UnicodeEncodeError:  # lone surrogates can't be written as Avro
        return
    delivery = read_or_refused(value, WIRE.decode_delivery)
    if delivery is not None:
        check_read_delivery(delivery)


@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("delivery_id", "x" * MAX_ID_CHARACTERS, "x" * (MAX_ID_CHARACTERS + 1)),
        ("provider", "\U0001f3b5" * MAX_ID_CHARACTERS, "\U0001f3b5" * (MAX_ID_CHARACTERS + 1)),
        ("audio_uri", "/" * MAX_URI_CHARACTERS, "/" * (MAX_URI_CHARACTERS + 1)),
        ("label", "x" * MAX_ID_CHARACTERS, "x" * (MAX_ID_CHARACTERS + 1)),
        ("track_id", "x" * MAX_ID_CHARACTERS, "x" * (MAX_ID_CHARACTERS + 1)),
        ("isrc", "DEA622600001", "DEA6226000012"),
        ("isrc", "DEA622600001", WIDE_ISRC),
        ("isrc", "DEA622600001", "DEA622600001\n"),
        ("isrc", "DEA622600001", "DEA62260000\u0661"),
        ("expected_sha256", "a" * 64, "a" * 65),
        ("expected_sha256", "0" * 64, "\u0660" * 64),
        ("event_id", "6F1D3B0A-58A0-4C39-9D55-3B8C6C1F7D11", "6F1D3B0A58A04C399D553B8C6C1F7D11"),
        ("event_id", "6F1D3B0A-58A0-4C39-9D55-3B8C6C1F7D11", "6F1D3B0A-58A0-4C39-9D55-3B8C6C1F7D11\n"),
        ("delivered_at", _EARLIEST_MS, _EARLIEST_MS - 1),
        ("delivered_at", _LATEST_MS - 1, _LATEST_MS),
    ],
)
def test_limits_lie_where_they_are_said_to_lie(field: str, inside: object, outside: object) -> None:
    """The last value inside passes, the first outside is refused by the field's name."""
    values = {
        **delivery_to_avro(DELIVERY),
        "event_id": str(DELIVERY.event_id),
        "delivered_at": _EARLIEST_MS,
    }
    check_read_delivery(WIRE.decode_delivery(raw({**values, field: inside})))
    with pytest.raises(BadEventError, match=field) as caught:
        WIRE.decode_delivery(raw({**values, field: outside}))
    assert caught.value.reason == DeadLetterReason.INVALID_VALUE


def test_the_largest_event_fits() -> None:
    """A delivery at all its limits, in characters of four bytes, stays below the size at which events are refused."""
    wide = "\U0001f3b5"
    largest = Delivery(
        event_id=DELIVERY.event_id,
        delivery_id=wide * MAX_ID_CHARACTERS,
        audio_uri=wide * MAX_URI_CHARACTERS,
        provider=wide * MAX_ID_CHARACTERS,
        delivered_at=LATEST - _MS,
        label=wide * MAX_ID_CHARACTERS,
        track_id=wide * MAX_ID_CHARACTERS,
        isrc="DEA622600001",
        expected_sha256="a" * 64,
    )
    value = WIRE.encode_delivery(largest)
    assert len(value) < MAX_EVENT_BYTES // 8
    assert WIRE.decode_delivery(value) == largest


@cases(100)
@given(st.integers(0, 2**63 - 1), st.sampled_from([2, 3, 4]), st.integers(0, 60))
def test_claimed_lengths_take_no_memory(length: int, schema_id: int, at: int) -> None:
    """A length field that claims exabytes is refused without asking for them, wherever it stands in the record."""
    zigzag, varint = length << 1, b""
    while zigzag > 0x7F:
        varint, zigzag = varint + bytes([zigzag & 0x7F | 0x80]), zigzag >> 7
    original = {2: WIRE.encode_verdict(VERDICT)}.get(schema_id, WIRE.encode_dead_letter(DEAD_LETTER))
    value = original[: 5 + at] + varint + bytes([zigzag]) + original[5 + at :]
    tracemalloc.start()
    try:
        for decode in (WIRE.decode_verdict, WIRE.decode_dead_letter):
            read_or_refused(value, decode)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


@cases(30)
@given(deliveries, verdicts, dead_letters, st.binary(min_size=1, max_size=20))
def test_whole_records_only(delivery: Delivery, verdict: Verdict, letter: DeadLetter, more: bytes) -> None:
    """Of any record no part and no more than the whole passes, as whichever record it is read."""
    for value, decode in (
        (WIRE.encode_delivery(delivery), WIRE.decode_delivery),
        (WIRE.encode_verdict(verdict), WIRE.decode_verdict),
        (WIRE.encode_dead_letter(letter), WIRE.decode_dead_letter),
    ):
        with pytest.raises(BadEventError):
            decode(value[:-1])
        with pytest.raises(BadEventError) as caught:
            decode(value + more)
        assert caught.value.reason == DeadLetterReason.TRAILING_BYTES
        for other in (WIRE.decode_delivery, WIRE.decode_verdict, WIRE.decode_dead_letter):
            if other != decode:
                with pytest.raises(BadEventError):
                    other(value)
