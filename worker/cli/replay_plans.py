"""Keeps the plans of replays in a topic of their own, and looks up what a plan needs to know of the deliveries.

The first plan of an id counts, so that processes that plan it in the same moment agree.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.cli.terminal import complain
from worker.cli.topic_reader import TopicReader
from worker.exceptions import BadEventError, LossgateError, TransientError
from worker.kafka.client_config import ClientConfig, make_producer, plain_producer_config
from worker.kafka.wire import Wire
from worker.replay.plan import ReplayPlan, Request, from_json, refuse_other_request, to_json
from worker.replay.ranges import asked_offsets, resolve
from worker.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_VARIABLE = "LOSSGATE_REPLAYS_TOPIC"
_WRITE_DEADLINE_S = 30.0


def find_plan(settings: Settings, replay_id: str) -> ReplayPlan | None:
    """Return the plan of this id, if there is one.

    Raises:
        LossgateError: it can't be read.
    """
    for key, value in _records(settings):
        if key == replay_id.encode():
            return from_json(value)
    return None


def all_plans(settings: Settings) -> list[ReplayPlan]:
    """Return every plan, oldest first; records that are none are named and left out.

    Raises:
        LossgateError: the topic can't be read.
    """
    found: dict[str, ReplayPlan] = {}
    for _key, value in _records(settings):
        try:
            plan = from_json(value)
        except LossgateError as error:
            complain(f"{settings.replays_topic}: {error}")
            continue
        found.setdefault(plan.replay_id, plan)
    return list(found.values())


def make_plan(settings: Settings, replay_id: str, request: Request) -> ReplayPlan:
    """Look up the offsets that a request means now.

    Raises:
        SettingsError: the request can't be met.
        LossgateError: Kafka can't be asked.
    """
    asked = asked_offsets(request.offsets)
    with TopicReader(settings, request.topic, "LOSSGATE_DELIVERIES_TOPIC") as reader:
        ranges = resolve(
            reader.bounds(),
            asked,
            None if request.since is None else reader.offsets_at(int(request.since.timestamp() * 1000)),
            None if request.until is None else reader.offsets_at(int(request.until.timestamp() * 1000)),
        )
    return ReplayPlan(replay_id, request, ranges, datetime.now(UTC))


def join_plan(settings: Settings, replay_id: str, request: Request) -> ReplayPlan:
    """Return the plan of this id, made now if there is none.

    Raises:
        SettingsError: there is one, for another request.
        LossgateError: Kafka can't be asked, or does not take the plan.
    """
    plan = find_plan(settings, replay_id)
    if plan is None:
        _write(settings, make_plan(settings, replay_id, request))
        plan = find_plan(settings, replay_id)
        if plan is None:
            raise LossgateError(
                f"The plan was written to {settings.replays_topic} and can't be found there: "
                "has the topic a retention that ends at once?"
            )
    refuse_other_request(plan, request)
    return plan


def check_range(settings: Settings, plan: ReplayPlan) -> None:
    """Compare the plan with what the topic still holds.

    Raises:
        LossgateError: a range ends behind the end of its partition, so that it could never be done.
    """
    with TopicReader(settings, plan.request.topic, "LOSSGATE_DELIVERIES_TOPIC") as reader:
        bounds = reader.bounds()
    for partition, each in sorted(plan.ranges.items()):
        low, high = bounds.get(partition, (0, 0))
        if high < each.end:
            raise LossgateError(
                f"Partition {partition} of {plan.request.topic} ends at offset {high}, and the plan of "
                f"{plan.replay_id} at {each.end}: the topic is not the one it was made for. Plan anew."
            )
        if low > each.start:
            complain(f"Partition {partition}: offsets {each.start} to {low - 1} are gone by the topic's retention.")


def count_events(settings: Settings, plan: ReplayPlan) -> tuple[int, int]:
    """Read the range; return how many deliveries in it are meant, and how many events can't be read.

    Raises:
        LossgateError: Kafka can't be read.
    """
    wire = Wire(settings)
    meant = unreadable = 0
    with TopicReader(settings, plan.request.topic, "LOSSGATE_DELIVERIES_TOPIC") as reader:
        for message in reader.between({number: (each.start, each.end) for number, each in plan.ranges.items()}):
            try:
                meant += plan.request.selection.takes(wire.decode_delivery(message.value()))
            except (BadEventError, TransientError):
                unreadable += 1
    return meant, unreadable


def _records(settings: Settings) -> Iterator[tuple[bytes | None, bytes]]:
    with TopicReader(settings, settings.replays_topic, _VARIABLE) as reader:
        reader.start({partition: low for partition, (low, _high) in reader.bounds().items()})
        for message in reader.rest():
            yield message.key(), message.value() or b""


def _write(settings: Settings, plan: ReplayPlan) -> None:
    refused: list[KafkaError] = []

    def on_delivery(error: "KafkaError | None", _message: "Message") -> None:
        if error is not None:
            refused.append(error)

    timeout = {"message.timeout.ms": int(_WRITE_DEADLINE_S * 1000)}
    producer = make_producer(ClientConfig({**plain_producer_config(settings), **timeout}))
    producer.produce(settings.replays_topic, to_json(plan), plan.replay_id.encode(), on_delivery=on_delivery)
    if producer.flush(_WRITE_DEADLINE_S + 1) or refused:
        why = refused[0].str() if refused else "the brokers did not answer in time"
        raise LossgateError(f"{settings.replays_topic} did not take the plan: {why}")
