"""Schemas by the id events carry: asked for, remembered, and waited for while the registry lags or is away."""

import json
import time
from dataclasses import dataclass
from typing import Any, Final

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError

from worker.exceptions import BadEventError, TransientError
from worker.kafka.avro_bounds import is_bounded, without_logical_types
from worker.records import DeadLetterReason

_NOT_FOUND: Final = 404
_SCHEMA_NOT_FOUND: Final = {40403, 40400}  # the registry's code, and the one of Confluent's mock client
_NO_SUCH_THING: Final = {400, 405, 410, 422}  # answers that asking again does not change
_LARGEST_ID: Final = 2**31 - 1  # ids are Java ints; registries answer larger ones with anything but "not found"
_REMEMBERED: Final = 1_000  # schemas by id; as many that are not known
_UNKNOWN_FOR_S: Final = 60.0  # how long "not known" is believed before the registry is asked again
_NO_PATIENCE_S: Final = 600.0  # after one id was waited for in vain, others are not for so long
_BREATHER_S: Final = 0.4  # after a failed look-up none is tried; shorter than the intake's first pause


@dataclass(slots=True)
class _Missing:
    """An id the registry did not know.  Times of the monotonic clock, seconds."""

    since: float
    asked: float
    is_given_up: bool


class WriterSchemas:
    """Schemas by the id events carry, parsed, without logical types, and fit to be read from strangers.

    Logical types are left out so that a value which makes no sense (a UUID that is none) can be told
    from bytes that are no Avro at all; whoever builds the records converts and checks the values.

    A registry may know a schema a moment later than the sender: replicas lag.  So an unknown id is waited for,
    `patience_s` at most.  Bytes that only look like events carry ids too, one after another; so after a wait in vain
    further unknown ids are given up at once for ten minutes.  What was given up is asked again once a minute.

    Args:
        client: the registry.
        patience_s: how long an unknown id may be on its way; 0 where the schemas are all here.
    """

    def __init__(self, client: SchemaRegistryClient, patience_s: float = 0.0) -> None:
        self._client = client
        self._patience_s = patience_s
        self._known: dict[int | str, Any] = {}
        self._missing: dict[int | str, _Missing] = {}
        self._impatient_until = 0.0
        self._breather: tuple[float, str] = (0.0, "")

    def get(self, identity: int | str, record: str) -> Any:
        """Parsed schema with this id (or GUID), of this record and no other.

        Raises:
            BadEventError: there is no such schema, or it is one of something else.
            TransientError: the registry could not be asked, or does not know the id yet.
        """
        found = self._known.get(identity)
        if found is None:
            found = self._ask(identity)
        if isinstance(found, BadEventError):
            raise BadEventError(found.reason, found.detail)
        name = found["name"]
        if name != record:
            raise BadEventError(DeadLetterReason.UNKNOWN_SCHEMA, f"Schema {identity} is of {name}, not of {record}.")
        return found

    def _ask(self, identity: int | str) -> Any:
        if isinstance(identity, int) and identity > _LARGEST_ID:
            return _unknown(identity, "can't exist")
        now = time.monotonic()
        missing = self._missing.get(identity)
        if missing is not None and missing.is_given_up and now - missing.asked < _UNKNOWN_FOR_S:
            return _unknown(identity, "is not known to the registry")
        if now < self._breather[0]:
            raise TransientError(self._breather[1])
        try:
            found = self._look_up(identity)
        except TransientError as error:
            self._breather = (time.monotonic() + _BREATHER_S, str(error))
            raise
        if found is None:
            return self._wait_or_give_up(identity, missing, time.monotonic())
        self._missing.pop(identity, None)
        _remember(self._known, identity, found)
        return found

    def _wait_or_give_up(self, identity: int | str, missing: _Missing | None, now: float) -> BadEventError:
        if missing is None:
            missing = _Missing(since=now, asked=now, is_given_up=now < self._impatient_until)
            _remember(self._missing, identity, missing)
        missing.asked = now
        waited_s = now - missing.since
        if not missing.is_given_up and waited_s < self._patience_s:
            raise TransientError(
                f"The schema registry does not know schema {identity}; it is waited for "
                f"({waited_s:.0f} of {self._patience_s:.0f} s)."
            )
        if not missing.is_given_up:
            missing.is_given_up = True
            self._impatient_until = now + _NO_PATIENCE_S
        return _unknown(identity, "is not known to the registry")

    def _look_up(self, identity: int | str) -> Any:
        """Ask the registry: the schema, the error of one that can't be used, or None where it knows none."""
        try:
            if isinstance(identity, int):
                schema = self._client.get_schema(identity)
            else:
                schema = self._client.get_schema_by_guid(identity)
        except SchemaRegistryError as error:
            if _says_no(error, identity):
                return None
            raise TransientError(f"The schema registry refused to give schema {identity}: {error}") from error
        except Exception as error:  # the client lets whatever its HTTP library raises through
            raise TransientError(f"The schema registry did not answer: {error!r}") from error
        if (schema.schema_type or "AVRO") != "AVRO" or schema.references or not schema.schema_str:
            return _unknown(identity, "is not one self-contained Avro schema")
        try:
            plain = without_logical_types(json.loads(schema.schema_str))
            parsed = fastavro.parse_schema(plain)
        except Exception:  # noqa: BLE001 -- a schema from outside; whatever is wrong with it, it can't be used
            return _unknown(identity, "is not valid Avro")
        if not isinstance(parsed, dict) or parsed.get("type") != "record":
            return _unknown(identity, "is not of a record")
        if not is_bounded(parsed):
            return _unknown(identity, "nests without end or has arrays of nothing")
        return parsed


def _says_no(error: SchemaRegistryError, identity: int | str) -> bool:
    """Whether the registry says that there is no such schema, rather than that it, or a proxy, has a problem."""
    if error.http_status_code == _NOT_FOUND:
        # A registry that knows no GUIDs has no such page.
        return error.error_code in _SCHEMA_NOT_FOUND or isinstance(identity, str)
    return error.http_status_code in _NO_SUCH_THING


def _remember(memory: dict[int | str, Any], identity: int | str, what: Any) -> None:
    """Keep something by its id; senders choose the ids, so there is an end to it."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[identity] = what


def _unknown(identity: int | str, problem: str) -> BadEventError:
    return BadEventError(DeadLetterReason.UNKNOWN_SCHEMA, f"Schema {identity} {problem}.")
