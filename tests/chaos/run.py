"""A chaos run: groups of workers on one broker, events for each, faults by plan, calm, audit."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.kafka.local_kafka import LocalKafka
from tests.chaos.audit import Observation, Partition, audit
from tests.chaos.events import Sent, events, free_prefix
from tests.chaos.faults import WEIGHTS, Fault, Planned, plan
from tests.chaos.fleet import Fleet
from tests.chaos.observe import Offsets, read_events, read_outcomes, read_postponed
from tests.chaos.processes import with_command
from tests.chaos.report import GroupResult, Result
from tests.chaos.sender import Sender
from tests.chaos.store import BadStore
from tests.integration.support import Topics, wire

PARTITIONS = 6

_OF_AUDIO = {Fault.KILL_DECODER, Fault.STORE_OUTAGE}
_OF_BROKER = {Fault.FREEZE_BROKER, Fault.KILL_BROKER, Fault.RESTART_BROKER}
_START_LIMIT_S = 300.0

_TICK_S = 0.1
_NOTE_S = 1.0  # between two looks at the committed offsets
_ASKS = 30  # for the last offsets
_ORPHAN_S = 20.0  # a child notices the end of its worker within this


@dataclass(frozen=True, slots=True)
class Group:
    """One consumer group of a run.

    Attributes:
        name: in the report.
        protocol: `classic` or `consumer`.
        workers: how many.
        deliveries: how many events it gets.
        poison_share: how many of them can't be read, 0 to 1.
        killers: how many of them kill their worker.
        store: where the audio is; None: workers without ears, and no audio.
        settings: more environment for its workers.
    """

    name: str
    protocol: str
    workers: int
    deliveries: int
    poison_share: float = 0.03
    killers: int = 0
    store: BadStore | None = None
    settings: Mapping[str, str] | None = None


@dataclass(slots=True)
class _Live:
    """A group while the run is on."""

    group: Group
    fleet: Fleet
    sender: Sender
    offsets: Offsets
    retries_topic: str
    history: list[dict[Partition, int]]  # this and the next are the keeper's
    is_finished: bool = False


class ChaosRun:
    """One run; its parts share a broker.

    Args:
        kafka: a broker that may be killed; nobody else uses it.
        groups: who works.
        seed: any number: events and faults follow from it, the operating system's timing does not.
        seconds: how long events are sent and faults happen.
        pause_s: mean time between two faults.
        calm_limit_s: how long the workers may finish nothing afterwards before they count as stuck.
        folder: for logs.
        least_faults: faults go on until so many have happened, however slow the machine is.
        weights: how often each fault comes.
        say: takes a line about each fault.
    """

    def __init__(
        self,
        kafka: LocalKafka,
        groups: Sequence[Group],
        *,
        seed: int,
        seconds: float,
        pause_s: float,
        calm_limit_s: float,
        folder: Path,
        least_faults: int = 0,
        weights: Mapping[Fault, int] = WEIGHTS,
        say: Callable[[str], None] = print,
    ) -> None:
        self._kafka = kafka
        self._seed = seed
        self._seconds = seconds
        self._calm_limit_s = calm_limit_s
        self._least_faults = least_faults
        self._say = say
        self._stores = [group.store for group in groups if group.store is not None]
        hears = bool(self._stores)
        possible = {fault: weight for fault, weight in weights.items() if hears or fault not in _OF_AUDIO}
        self._plan = plan(seed, pause_s, possible)
        self._done: Counter[Fault] = Counter()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._is_over = threading.Event()
        self._outage_until = 0.0
        self._is_calm = False
        prefix = free_prefix()
        self._live = [self._prepare(group, f"{prefix}-{group.name}", folder) for group in groups]

    def run(self) -> Result:
        """Do it all; returns what was found."""
        started = time.monotonic()
        try:
            for live in self._live:
                live.fleet.start()
            self._keeper.start()
            _wait_until(lambda: all(live.fleet.is_up for live in self._live), _START_LIMIT_S)
            self._say(f"workers poll after {time.monotonic() - started:.0f} s; seed {self._seed}")
            for live in self._live:
                live.sender.start()
            self._hurt()
            self._calm()
            self._end_keeper()
            for live in self._live:
                live.fleet.drain()
            orphans = self._orphans()
            groups = [self._judge(live) for live in self._live]
        finally:
            self._end_keeper()
            for live in self._live:
                live.fleet.destroy()
        store = sum((each.answers for each in self._stores), Counter[str]())
        return Result(self._seed, time.monotonic() - started, self._done, groups, orphans, store)

    def _prepare(self, group: Group, name: str, folder: Path) -> _Live:
        bootstrap = self._kafka.bootstrap_servers
        topics = Topics(f"{name}.deliveries", f"{name}.verdicts", f"{name}.dead-letters")
        retries = f"{name}.retries"
        self._kafka.create_topics(
            topics.deliveries, topics.verdicts, topics.dead_letters, retries, partitions=PARTITIONS
        )
        store = group.store
        settings = {
            "LOSSGATE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "LOSSGATE_KAFKA_GROUP_ID": name,
            "LOSSGATE_KAFKA_GROUP_PROTOCOL": group.protocol,
            "LOSSGATE_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "LOSSGATE_KAFKA_TRANSACTION_TIMEOUT_MS": "5000",
            "LOSSGATE_DELIVERIES_TOPIC": topics.deliveries,
            "LOSSGATE_VERDICTS_TOPIC": topics.verdicts,
            "LOSSGATE_DEAD_LETTERS_TOPIC": topics.dead_letters,
            "LOSSGATE_RETRIES_TOPIC": retries,
            "LOSSGATE_RETRY_ATTEMPTS": "2",
            "LOSSGATE_RETRY_DELAY_S": "5",
            "LOSSGATE_ALLOWED_URI_PREFIXES": f'["{store.prefix if store else "/chaos/"}"]',
            "LOSSGATE_DRAIN_DEADLINE_S": "20",
            "LOSSGATE_HEALTH_HOST": "127.0.0.1",
            "LOSSGATE_HEALTH_PORT": "0",
            "LOSSGATE_LOG_FORMAT": "json",
            **(group.settings or {}),
        }
        fleet = Fleet(group.name, topics, settings, group.workers, "heard" if store else "unheard", folder)
        sender = Sender(bootstrap, topics.deliveries, self._events(group), self._seconds)
        offsets = Offsets(bootstrap, name, (topics.deliveries, retries), PARTITIONS)
        return _Live(group, fleet, sender, offsets, retries, [])

    def _events(self, group: Group) -> list[Sent]:
        store = group.store
        uris = [store.uri(number) if store else f"/chaos/{number}.flac" for number in range(group.deliveries)]
        seed = self._seed + sum(group.name.encode())
        return list(events(seed, wire(), group.deliveries, PARTITIONS, uris, group.poison_share, group.killers))

    def _hurt(self) -> None:
        started = time.monotonic()
        for planned in self._plan:
            time.sleep(planned.pause_s)
            at_s = time.monotonic() - started
            if at_s >= self._seconds and self._done.total() >= self._least_faults:
                return
            what = self._inflict(planned)
            if what is not None:
                self._done[planned.fault] += 1
                self._say(f"{at_s:7.1f} s  {what}")

    def _inflict(self, planned: Planned) -> str | None:
        """Do it; say what was done, or None where nobody was there to suffer it."""
        fault, lasts_s = planned.fault, planned.lasts_s
        how_long = f" for {lasts_s:.1f} s" if lasts_s else ""
        if fault is Fault.STORE_OUTAGE:
            self._outage_until = time.monotonic() + lasts_s
            return f"{fault}{how_long}"
        if fault in _OF_BROKER:
            self._hurt_broker(fault, lasts_s)
            return f"{fault}{how_long}"
        fleets = [each.fleet for each in self._live if each.group.store or fault is not Fault.KILL_DECODER]
        able = [(fleet, number) for fleet in fleets for number in fleet.able]
        if not able:
            return None
        fleet, number = able[int(planned.victim * len(able))]
        if fault is Fault.KILL_WORKER:
            fleet.kill(number)
        elif fault is Fault.FREEZE_WORKER:
            fleet.freeze(number, lasts_s)
        elif fault is Fault.STOP_WORKER:
            fleet.stop(number)
        elif not fleet.kill_decoder(number):
            return None
        return f"{fault} {fleet.name}-{number}{how_long}"

    def _hurt_broker(self, fault: Fault, lasts_s: float) -> None:
        if fault is Fault.FREEZE_BROKER:
            process = self._kafka._process
            assert process is not None
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(lasts_s)
            os.kill(process.pid, signal.SIGCONT)
        elif fault is Fault.KILL_BROKER:
            self._kafka.kill()
            time.sleep(lasts_s)
            self._kafka.start()
        else:
            self._kafka.restart()

    def _calm(self) -> None:
        """End all faults and wait until every group's offsets have passed every event."""
        for live in self._live:
            live.fleet.thaw()
            live.sender.join()
        self._outage_until = 0.0
        started = time.monotonic()
        self._is_calm = True
        progress = _Progress(started)
        while not all(live.is_finished for live in self._live):
            if progress.quiet_s(self._committed_events(), time.monotonic()) > self._calm_limit_s:
                break
            time.sleep(_TICK_S)
        self._say(f"calm: {time.monotonic() - started:.0f} s until all was done")

    def _committed_events(self) -> int:
        return sum(sum(live.history[-1].values()) for live in self._live if live.history)

    def _keep(self) -> None:
        """Look after workers and store, and note the committed offsets; on the keeper's thread.

        Nobody else asks for offsets meanwhile: two threads in one client of confluent-kafka can block each other.
        """
        noted_at = 0.0
        while not self._is_over.wait(_TICK_S):
            now = time.monotonic()
            for store in self._stores:
                store.is_out = now < self._outage_until
            is_due = now - noted_at > _NOTE_S
            noted_at = now if is_due else noted_at
            for live in self._live:
                live.fleet.tend()
                if is_due and (noted := live.offsets.committed()):
                    live.history.append(noted)
                    live.is_finished = self._is_calm and self._has_passed_all(live, noted)

    def _has_passed_all(self, live: _Live, committed: Mapping[Partition, int]) -> bool:
        """Whether the group's offsets have passed every event, also those postponed.

        Ends of partitions can't be compared with: a transaction's own mark has an offset too, and nobody commits it.
        """
        bootstrap = self._kafka.bootstrap_servers
        places = [event.place for event in read_events(bootstrap, live.fleet.topics.deliveries)]
        places += [each.place for each in read_postponed(bootstrap, live.retries_topic)]
        return not any(offset >= committed.get((topic, partition), 0) for topic, partition, offset in places)

    def _end_keeper(self) -> None:
        self._is_over.set()
        if self._keeper.is_alive():
            self._keeper.join()

    def _orphans(self) -> int:
        """Count decoder children that are left although every worker has ended."""
        give_up_at = time.monotonic() + _ORPHAN_S
        while (left := [pid for store in self._stores for pid in with_command(store.prefix)]) and (
            time.monotonic() < give_up_at
        ):
            time.sleep(_TICK_S)
        return len(left)

    def _judge(self, live: _Live) -> GroupResult:
        bootstrap, topics = self._kafka.bootstrap_servers, live.fleet.topics
        outcomes, reasons = read_outcomes(bootstrap, topics, wire())
        postponed = read_postponed(bootstrap, live.retries_topic)
        findings = audit(
            Observation(
                live.sender.acknowledged,
                read_events(bootstrap, topics.deliveries),
                outcomes,
                next(filter(None, (live.offsets.committed() for _ in range(_ASKS))), {}),
                live.history,
                postponed,
            )
        )
        live.offsets.close()
        sent = len(live.sender.acknowledged)
        return GroupResult(live.group.name, sent, len(outcomes), len(postponed), findings, reasons, live.fleet.toll)


class _Progress:
    """How long a number has not risen."""

    def __init__(self, now: float) -> None:
        self._highest = -1
        self._risen_at = now

    def quiet_s(self, number: int, now: float) -> float:
        """Take the number as it is now; return the time since it last rose, seconds."""
        if number > self._highest:
            self._highest, self._risen_at = number, now
        return now - self._risen_at


def _wait_until(condition: Callable[[], bool], limit_s: float) -> None:
    give_up_at = time.monotonic() + limit_s
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(_TICK_S)
