"""A worker killed midway: every delivery ends in exactly one visible verdict."""

import os
import signal
import time
from pathlib import Path

import pytest

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import (
    Topics,
    committed,
    delivery_of,
    publish,
    read_verdicts,
    wait_for,
    wire,
    worker_process,
    worker_settings,
    write_flac,
)

DELIVERIES = 80  # `make chaos` judges thousands
PARTITIONS = 4
FILES = 10
SECONDS = 10.0  # long enough that the kill comes well before the end


@pytest.mark.integration
@pytest.mark.timeout(500)
def test_sigkill_midway_loses_nothing_and_doubles_nothing(
    local_kafka: LocalKafka, topics: Topics, free_ports: list[int], quick_detector: Path, tmp_path: Path
) -> None:
    """SIGKILL of one of two workers: a `read_committed` reader sees one verdict for each delivery."""
    files = [write_flac(tmp_path / f"{number}.flac", SECONDS, seed=number) for number in range(FILES)]
    ids = [f"delivery-{number}" for number in range(DELIVERIES)]
    codec = wire()
    events = [codec.encode_delivery(delivery_of(str(files[n % FILES]), ids[n])) for n in range(DELIVERIES)]

    bootstrap = local_kafka.bootstrap_servers
    first, second = (
        worker_settings(bootstrap, topics, tmp_path, port)
        | {"LOSSGATE_LANES": "1", "LOSSGATE_MODEL_DIR": str(quick_detector)}
        for port in free_ports[:2]
    )
    with worker_process(second, tmp_path / "second.log"), worker_process(first, tmp_path / "first.log") as victim:
        publish(bootstrap, topics.deliveries, events, PARTITIONS)  # not before both can take some
        wait_for(DELIVERIES // 10, bootstrap, topics.verdicts, within_s=90)
        os.killpg(victim.pid, signal.SIGKILL)
        killed_after = len(committed(bootstrap, topics.verdicts))
        wait_for(DELIVERIES, bootstrap, topics.verdicts, within_s=300)
        time.sleep(2)  # a duplicate would come after the last one
    assert killed_after < DELIVERIES, "all was done before the kill: the test proved nothing"
    verdicts = read_verdicts(bootstrap, topics.verdicts, codec)
    assert sorted(verdict.delivery.delivery_id for verdict in verdicts) == sorted(ids)
    assert len({verdict.verdict_id for verdict in verdicts}) == DELIVERIES
    assert committed(bootstrap, topics.dead_letters) == []
