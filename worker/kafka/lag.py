"""How far the worker is behind in each partition, from what librdkafka tells of itself and what is in flight.  Pure.

Nothing here asks the brokers: their answers would have to be waited for on the poll thread.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.kafka.ledger import Partition


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition as librdkafka sees it.

    Args:
        end: offset behind the last event that may be read, as of the last fetch.
        position: offset of the next event that the poll loop gets.
        prefetched_bytes: fetched, and not polled yet.
    """

    end: int
    position: int
    prefetched_bytes: int


def standings(statistics: str) -> dict[Partition, Standing]:
    """Read librdkafka's statistics; partitions of which it does not know enough yet are left out.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: this is no such document.
    """
    found: dict[Partition, Standing] = {}
    for topic, about in json.loads(statistics)["topics"].items():
        for number, each in about["partitions"].items():
            end, position = each["ls_offset"], _position(each)
            if int(number) >= 0 and end >= 0 and position >= 0:  # -1 stands for none
                found[topic, int(number)] = Standing(end, position, each["fetchq_size"])
    return found


def lag(standing: Standing, first_open: int | None) -> int:
    """Events without a committed outcome.

    Args:
        standing: of their partition.
        first_open: offset of the first event that was polled and has none.
    """
    position = standing.position if first_open is None else min(first_open, standing.position)
    return max(0, standing.end - position)


def _position(partition: Mapping[str, Any]) -> int:
    """Offset of the next event: behind the last polled one, unless all that is left there are transaction markers."""
    polled, fetched = partition["app_offset"], partition["next_offset"]
    if polled < 0 or (partition["fetchq_cnt"] == 0 and fetched > polled):
        polled = fetched
    return int(polled)
