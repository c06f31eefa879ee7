"""The publisher against a producer that fails as told: what is put back, what is made smaller, what ends the worker."""

import dataclasses
import threading
import time
from collections import deque
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.worker.kafka.fake_producer import ABORTABLE, FATAL, RETRIABLE, FakeProducer
from tests.worker.kafka.records_for_tests import DEAD_LETTER, DELIVERY, VERDICT
from worker.constants import MAX_DEAD_LETTER_RAW_BYTES
from worker.exceptions import FatalError, TransientError
from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.event import Event
from worker.kafka.ledger import Ledger
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.publisher import Publisher, stall_limit_s
from worker.kafka.retry_headers import read_retry_headers
from worker.kafka.retry_plan import Postponed
from worker.kafka.transaction import Transactions
from worker.kafka.wire import Wire
from worker.metrics import BRAKE_ENGAGED, CODEC_DECISIONS, PROVIDER_DECISIONS, RETRIES_SCHEDULED
from worker.records import Coordinates, DeadLetter, FetchFault, Reason, Verdict
from worker.settings import Settings

TOPIC = "deliveries"
SETTINGS = Settings(_env_file=None, verdicts_topic="verdicts", dead_letters_topic="dead-letters", retry_delay_s=60)
WIRE = Wire(SETTINGS)


class _Member:
    membership: bytes | None = b"member"


class _Bench:
    """A publisher with its surroundings."""

    def __init__(self, wire: Wire = WIRE, **more: Any) -> None:
        self.producer = FakeProducer()
        self.member = _Member()
        self.budget = Budget(1_000, 10**9)
        self.ledger: Ledger[Outcome] = Ledger(self.budget)
        self.ledger.assign([(TOPIC, 0), (TOPIC, 1)])
        self.errors: list[BaseException] = []
        self.brake = Brake(2, 4)
        self.publisher = Publisher(
            self.producer,
            self.member,
            self.ledger,
            OutcomeRecords(wire, SETTINGS),
            self.brake,
            fail=self.errors.append,
            **{"stall_limit_s": 60.0, **more},
        )

    def put(self, offset: int, outcome: Outcome = VERDICT, partition: int = 0) -> None:
        ticket = self.ledger.polled(Coordinates(TOPIC, partition, offset), 10)
        assert ticket is not None
        assert self.ledger.complete(ticket, outcome)

    def run(self) -> None:
        """Publish all there is."""
        self.publisher.start()
        self.publisher.close(10)

    def wait_for_error(self) -> BaseException:
        deadline = time.monotonic() + 10
        while not self.errors:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.errors[0]


def test_outcomes_and_offsets_are_committed() -> None:
    """Verdicts and dead letters go to their topics with their keys and headers, and the offsets with them."""
    bench = _Bench()
    bench.put(7)
    bench.put(8, DEAD_LETTER)
    bench.put(3, dataclasses.replace(VERDICT, replay_id=None), partition=1)
    bench.run()
    records = {record[0]: record for record in bench.producer.committed if not record[3] or record[0] != "verdicts"}
    replayed = next(record for record in bench.producer.committed if record[3])
    assert replayed[2:] == (DELIVERY.delivery_id.encode(), [("lossgate-replay", b"replay-1")])
    assert WIRE.decode_verdict(replayed[1]) == VERDICT
    assert records["dead-letters"][2] == DEAD_LETTER.key
    assert WIRE.decode_dead_letter(records["dead-letters"][1]) == DEAD_LETTER
    assert bench.producer.offsets == {(TOPIC, 0): 9, (TOPIC, 1): 4}
    assert bench.budget.count == 0
    assert bench.errors == []


@pytest.mark.parametrize("step", ["produce", "flush", "offsets", "commit"])
def test_aborted_transactions_are_repeated_whole(step: str) -> None:
    """Wherever a transaction breaks, its outcomes come again, all of them and once."""
    bench = _Bench()
    bench.producer.faults[step] = deque([ABORTABLE])
    bench.put(0)
    bench.put(1)
    bench.run()
    assert len(bench.producer.committed) == 2
    assert "abort" in bench.producer.calls
    assert bench.budget.count == 0


@pytest.mark.parametrize("step", ["init", "offsets", "commit", "abort"])
def test_slow_brokers_are_waited_for(step: str) -> None:
    """A call that times out is made again; the transaction is neither given up nor begun anew."""
    bench = _Bench()
    bench.producer.faults[step] = deque([RETRIABLE, RETRIABLE])
    if step == "abort":
        bench.producer.faults["offsets"] = deque([ABORTABLE])
    bench.put(0)
    bench.run()
    assert len(bench.producer.committed) == 1
    assert bench.producer.calls.count(step) >= 3
    assert bench.errors == []


@pytest.mark.parametrize("step", ["init", "begin", "produce", "offsets", "commit"])
def test_a_fenced_producer_ends_the_worker(step: str) -> None:
    """There is no way on for a fenced producer; nothing of its last transaction counts as published."""
    bench = _Bench()
    bench.producer.faults[step] = deque([FATAL])
    bench.put(0)
    bench.run()
    assert len(bench.errors) == 1
    assert bench.producer.committed == []
    assert bench.ledger.unsettled == 1


def test_a_client_that_fails_between_callbacks_ends_the_worker() -> None:
    """confluent-kafka's way to say so while reports are handed over is a SystemError around the client's error."""
    error = SystemError("returned a result with an exception set")
    error.__cause__ = FATAL
    bench = _Bench()
    bench.producer.faults["flush"] = deque([error])
    bench.put(0)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)
    assert "fenced" in str(bench.errors[0])
    assert bench.producer.committed == []


def test_an_abort_that_fails_ends_the_worker() -> None:
    """After a failed abort nobody knows what the transaction holds."""
    bench = _Bench()
    bench.producer.faults = {"offsets": deque([ABORTABLE]), "abort": deque([FATAL])}
    bench.put(0)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)


def test_rejected_records_abort() -> None:
    """A delivery report with an error aborts, though every call succeeded."""
    bench = _Bench()
    bench.producer.delivery_faults = deque([KafkaError(KafkaError._MSG_TIMED_OUT, "late")])
    bench.put(0)
    bench.run()
    assert len(bench.producer.committed) == 1
    assert bench.producer.calls.count("abort") == 1


def test_forbidden_topics_end_the_worker() -> None:
    """An outcome that may not be written is a fault of the set-up; trying again for ever would hide it."""
    bench = _Bench()
    bench.producer.delivery_faults = deque([KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no")])
    bench.put(0)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)
    assert bench.producer.committed == []


def test_endless_aborts_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that can't publish at all must not look alive for ever."""
    monkeypatch.setattr(Transactions, "_backoff_s", lambda _: 0.0)
    bench = _Bench()
    bench.producer.faults["offsets"] = deque([ABORTABLE] * 100)
    bench.put(0)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)


@pytest.mark.parametrize("outcome", [VERDICT, DEAD_LETTER])
def test_records_too_large_are_made_smaller(outcome: Outcome) -> None:
    """What a topic does not take whole it gets without its bulk, so that the reason at least arrives."""
    too_large = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "large")
    bench = _Bench()
    bench.producer.delivery_faults = deque([too_large])
    bench.put(0, outcome)
    bench.run()
    (record,) = bench.producer.committed
    if isinstance(outcome, DeadLetter):
        assert WIRE.decode_dead_letter(record[1]).value is None
        assert record[2] is None
    else:
        assert WIRE.decode_verdict(record[1]).judgement.segments == ()
    assert bench.errors == []

    bench = _Bench()
    bench.producer.delivery_faults = deque([too_large, too_large])
    bench.put(0, outcome)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)


def test_huge_events_leave_their_bytes_behind() -> None:
    """A dead letter that could not fit names size and hash of what it leaves out; the event itself stays in Kafka."""
    bench = _Bench()
    bench.put(0, dataclasses.replace(DEAD_LETTER, value=b"x" * (MAX_DEAD_LETTER_RAW_BYTES + 1)))
    bench.run()
    letter = WIRE.decode_dead_letter(bench.producer.committed[0][1])
    assert letter.value is None
    assert f"{MAX_DEAD_LETTER_RAW_BYTES + 1} bytes" in letter.detail
    assert letter.source == DEAD_LETTER.source


class _Refusing(Wire):
    """A wire that can't encode the first verdicts."""

    faults: deque[Exception]

    def encode_verdict(self, verdict: Verdict) -> bytes:
        if self.faults:
            raise self.faults.popleft()
        return super().encode_verdict(verdict)


def test_verdicts_that_cannot_be_encoded_become_reviews() -> None:
    """A fault of ours in one verdict neither stops the partition nor loses the delivery."""
    wire = _Refusing(Settings(_env_file=None))
    wire.faults = deque([ValueError("a fault of ours")])
    bench = _Bench(wire)
    bench.put(0)
    bench.run()
    verdict = WIRE.decode_verdict(bench.producer.committed[0][1])
    assert verdict.judgement.reason == Reason.INTERNAL_ERROR
    assert verdict.delivery == DELIVERY


def test_an_absent_registry_is_waited_for() -> None:
    """While the schema can't be registered, outcomes are kept; no transaction is opened for them."""
    wire = _Refusing(Settings(_env_file=None))
    wire.faults = deque([TransientError("away"), TransientError("away")])
    bench = _Bench(wire)
    bench.put(0)
    bench.run()
    assert len(bench.producer.committed) == 1
    assert bench.producer.calls.count("begin") == 1


def test_nothing_is_published_without_a_membership() -> None:
    """Offsets of a worker outside the group would be taken unchecked."""
    bench = _Bench()
    bench.member.membership = None
    bench.put(0)
    bench.publisher.start()
    time.sleep(0.3)
    assert bench.producer.calls == ["init"]
    bench.member.membership = b"member"
    bench.publisher.close(10)
    assert len(bench.producer.committed) == 1


def test_partitions_are_given_up_between_transactions() -> None:
    """A revocation waits for the transaction in flight, and none begins until it is done."""
    bench = _Bench()
    bench.producer.hang.clear()
    bench.put(0)
    bench.publisher.start()
    while "flush" not in bench.producer.calls:
        time.sleep(0.01)
    with bench.publisher.quiesce(0.05) as is_quiet:
        assert not is_quiet
    threading.Timer(0.1, bench.producer.hang.set).start()
    with bench.publisher.quiesce(10) as is_quiet:
        assert is_quiet
        assert len(bench.producer.committed) == 1
        bench.put(1)
        time.sleep(0.1)
        assert len(bench.producer.committed) == 1
    bench.publisher.close(10)
    assert len(bench.producer.committed) == 2


def test_a_transaction_that_hangs_ends_the_worker() -> None:
    """A call of librdkafka can hang past its timeout; somebody has to notice."""
    bench = _Bench(stall_limit_s=0.2)
    bench.producer.hang.clear()
    bench.put(0)
    bench.publisher.start()
    assert "has not ended" in str(bench.wait_for_error())
    bench.producer.hang.set()
    bench.publisher.close(10)


def test_brokers_that_stay_away_at_the_start_end_the_worker() -> None:
    """A worker that never gets to the transaction coordinator says so and ends, instead of waiting for ever."""
    bench = _Bench(start_limit_s=0.2)
    bench.producer.faults["init"] = deque([RETRIABLE] * 10_000)
    bench.publisher.start()
    error = bench.wait_for_error()
    assert isinstance(error, FatalError)
    assert "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS" in str(error)
    assert not bench.publisher.is_ready


def test_the_stall_limit_follows_the_transaction_timeout() -> None:
    """A transaction that the brokers rolled back long ago is not waited for; one that may still end is."""
    assert stall_limit_s(15_000) == 60
    assert stall_limit_s(60_000) > 2 * 60


@pytest.mark.parametrize(("step", "is_in_doubt"), [("flush", False), ("offsets", False), ("commit", True)])
def test_an_unanswered_commit_is_in_doubt(step: str, is_in_doubt: bool) -> None:  # noqa: FBT001 -- a test's parameter
    """What a commit without an answer held may be committed: it must not be taken into another transaction."""
    bench = _Bench()
    bench.producer.faults[step] = deque([FATAL])
    bench.put(0)
    bench.run()
    assert isinstance(bench.errors[0], FatalError)
    assert bool(bench.ledger.take_ready(10).outcomes) != is_in_doubt


def test_the_brake_comes_before_the_dead_letters() -> None:
    """What would be too many dead letters is not written, nor anything after it; what was written before stays."""
    bench = _Bench()
    bench.put(0, DEAD_LETTER)
    bench.put(1)
    bench.publisher.start()
    while bench.ledger.unsettled:
        time.sleep(0.01)
    with bench.publisher.quiesce(10):
        bench.put(2, DEAD_LETTER)
        bench.put(3, DEAD_LETTER)
        bench.put(0, partition=1)
    while not bench.brake.is_engaged:
        time.sleep(0.01)
    assert BRAKE_ENGAGED._value.get() == 1
    assert bench.publisher.close(10)
    assert len(bench.producer.committed) == 2
    assert bench.producer.offsets == {(TOPIC, 0): 2}
    assert bench.ledger.unsettled == 3
    assert bench.errors == []


def test_closing_gives_up_on_brokers_that_stay_away() -> None:
    """A worker that is told to stop while the brokers are down stops; its offsets stay uncommitted."""
    bench = _Bench()
    bench.producer.faults["commit"] = deque([RETRIABLE] * 10_000)
    bench.put(0)
    bench.publisher.start()
    assert not bench.publisher.close(0.3)
    assert bench.ledger.unsettled == 1
    assert bench.errors == []


def test_fatal_errors_of_the_client_are_told_once() -> None:
    """The client's callback and the failing call may both report; the worker hears it once."""
    bench = _Bench()
    bench.publisher.report_fatal(FATAL.args[0])
    bench.publisher.report_fatal(FATAL.args[0])
    assert len(bench.errors) == 1


def test_verdicts_are_counted_by_provider() -> None:
    """Whose deliveries are rejected more often than before can be asked of Prometheus."""
    counter = PROVIDER_DECISIONS.labels(DELIVERY.provider, VERDICT.judgement.decision.value)
    before = counter._value.get()
    bench = _Bench()
    bench.put(0)
    bench.put(1)
    bench.run()
    assert counter._value.get() == before + 2


def test_verdicts_are_counted_by_codec() -> None:
    """Which codec is found how often; `none` where none was, so that the label is never empty."""
    judgement = dataclasses.replace(VERDICT.judgement, codec=None)
    decision = judgement.decision.value
    counters = [CODEC_DECISIONS.labels(codec, decision) for codec in ("mp3", "none")]
    before = [each._value.get() for each in counters]
    bench = _Bench()
    bench.put(0, dataclasses.replace(VERDICT, judgement=dataclasses.replace(judgement, codec="mp3")))
    bench.put(1, dataclasses.replace(VERDICT, judgement=judgement))
    bench.run()
    assert [each._value.get() for each in counters] == [count + 1 for count in before]


POSTPONED = Postponed(
    Event(Coordinates(TOPIC, 0, 0), b"key", b"value", (("trace", None),)), 2, FetchFault.THROTTLED, VERDICT
)


def test_postponed_events_go_to_the_retries_topic() -> None:
    """Key, value and headers stay; the stamp is added, in the transaction that commits the offset."""
    bench = _Bench()
    before, started_ms = RETRIES_SCHEDULED.labels("throttled")._value.get(), int(1_000 * time.time())  # as the stamp
    bench.put(7, POSTPONED)
    bench.run()
    ((topic, value, key, headers),) = bench.producer.committed
    assert (topic, key, value) == (SETTINGS.retries_topic, b"key", b"value")
    stamp, own = read_retry_headers(tuple(headers))
    assert (own, stamp.attempt, stamp.origin) == ((("trace", None),), 2, Coordinates(TOPIC, 0, 0))
    assert 0 <= stamp.not_before_ms - started_ms - 1_000 * SETTINGS.retry_delay_s < 10_000
    assert bench.producer.offsets == {(TOPIC, 0): 8}
    assert RETRIES_SCHEDULED.labels("throttled")._value.get() == before + 1


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.MSG_SIZE_TOO_LARGE])
def test_a_retries_topic_that_takes_nothing_costs_the_retry_only(code: int) -> None:
    """Where the topic is missing or too narrow, the delivery gets the review verdict it would get without one."""
    bench = _Bench()
    bench.producer.delivery_faults.append(KafkaError(code, "no"))
    bench.put(7, POSTPONED)
    bench.run()
    assert [topic for topic, *_ in bench.producer.committed] == ["verdicts"]
    assert bench.producer.offsets == {(TOPIC, 0): 8}
    assert bench.errors == []
