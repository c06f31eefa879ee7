"""Shows the lag of the partitions held in the metrics."""

from typing import Any, Final

import structlog

from worker.kafka.lag import lag, standings
from worker.kafka.ledger import Ledger, Partition
from worker.kafka.not_due import NotDue
from worker.metrics import LAG, PREFETCHED_BYTES

log = structlog.get_logger(__name__)


class LagGauge:
    """Used by the poll thread only.

    Args:
        ledger: what is in flight.
        not_due: what waits before that, on the retries topic.
    """

    def __init__(self, ledger: Ledger[Any], not_due: NotDue) -> None:
        self._ledger: Final = ledger
        self._not_due: Final = not_due
        self._shown: set[Partition] = set()

    def show(self, statistics: str) -> None:
        """Take librdkafka's statistics; what can't be read of them is logged and changes nothing."""
        try:
            known = standings(statistics)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            log.warning("statistics_not_understood", error=f"{type(error).__name__}: {error}")
            return
        held = self._ledger.partitions & known.keys()
        for partition in held:
            first = self._ledger.first_open(partition)
            first = self._not_due.first(partition) if first is None else first
            LAG.labels(*map(str, partition)).set(lag(known[partition], first))
        for partition in self._shown - held:  # its next owner shows it
            LAG.remove(*map(str, partition))
        self._shown = set(held)
        PREFETCHED_BYTES.set(sum(each.prefetched_bytes for each in known.values()))
