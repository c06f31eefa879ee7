"""Sends the events of one group at an even pace, through broker outages, and notes what was acknowledged."""

import threading
import time
from collections.abc import Sequence
from functools import partial

from confluent_kafka import KafkaError, Message, Producer

from tests.chaos.events import Sent

_GIVE_UP_S = 300.0


class Sender:
    """Sends on a thread of its own.

    Args:
        bootstrap: the broker.
        topic: where to.
        events: what.
        seconds: over how long.
    """

    def __init__(self, bootstrap: str, topic: str, events: Sequence[Sent], seconds: float) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "delivery.timeout.ms": int(_GIVE_UP_S * 1000),
                "linger.ms": 20,
                "log_level": 0,
            }
        )
        self._topic = topic
        self._events = events
        self._pause_s = seconds / max(1, len(events))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: set[str] = set()
        self.refused: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until every event was acknowledged or given up."""
        self._thread.join(_GIVE_UP_S + 60)

    def _run(self) -> None:
        started = time.monotonic()
        for number, event in enumerate(self._events):
            while (early_s := started + number * self._pause_s - time.monotonic()) > 0:
                self._producer.poll(min(early_s, 0.1))
            self._producer.produce(
                self._topic,
                event.value,
                event.key,
                event.partition,
                headers=event.headers,
                on_delivery=partial(self._note, event),
            )
        self._producer.flush(_GIVE_UP_S)

    def _note(self, event: Sent, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.acknowledged.add(event.name)
        else:
            self.refused.append(f"{event.name}: {error.str()}")
