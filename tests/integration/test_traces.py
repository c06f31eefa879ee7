"""On a real Kafka: the verdict's record continues the trace of its event, and the lag falls to 0."""

import time

import pytest
from confluent_kafka import Producer
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from demo.kafka.local_kafka import LocalKafka
from tests.integration.support import Topics, committed, delivery_of, wait_for, wire
from tests.integration.trivial_worker import TrivialWorker
from worker.metrics import ASSIGNED_PARTITIONS, LAG
from worker.settings import Settings
from worker.trace_export import recording

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def _shown(topic: str) -> dict[str, float]:
    (family,) = LAG.collect()
    return {each.labels["partition"]: each.value for each in family.samples if each.labels["topic"] == topic}


def test_verdicts_continue_the_traces_of_their_events(local_kafka: LocalKafka, topics: Topics) -> None:
    """Twenty traced events: each verdict's trace is its event's; one with a garbage header gets a new one."""
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers=local_kafka.bootstrap_servers,
        kafka_group_id=f"group-{topics.deliveries}",
        deliveries_topic=topics.deliveries,
        verdicts_topic=topics.verdicts,
        dead_letters_topic=topics.dead_letters,
        retry_attempts=0,
        kafka_properties={"consumer.statistics.interval.ms": "200"},  # type: ignore[dict-item]
    )
    producer = Producer({"bootstrap.servers": local_kafka.bootstrap_servers})
    traces = {f"d-{number}": f"{number + 1:032x}" for number in range(20)}
    for name, trace_id in traces.items():
        headers: list[tuple[str, str | bytes | None]] = [("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")]
        producer.produce(topics.deliveries, wire().encode_delivery(delivery_of("/x", name)), name, headers=headers)
    garbage = wire().encode_delivery(delivery_of("/x", "garbage"))
    producer.produce(topics.deliveries, garbage, "garbage", headers=[("traceparent", b"\xff00-")])
    assert producer.flush(30) == 0
    exporter = InMemorySpanExporter()
    with recording(exporter):
        with TrivialWorker(settings):
            wait_for(21, local_kafka.bootstrap_servers, topics.verdicts, 60)
            deadline = time.monotonic() + 20
            while (shown := _shown(topics.deliveries)) != dict.fromkeys("0123", 0) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert shown == dict.fromkeys("0123", 0)
            assert ASSIGNED_PARTITIONS.labels(topics.deliveries)._value.get() == 4
        assert _shown(topics.deliveries) == shown  # the process ends with it; a rebalance would take it away
    found = {}
    for message in committed(local_kafka.bootstrap_servers, topics.verdicts):
        header = dict(message.headers() or [])["traceparent"]
        assert header is not None
        found[message.key().decode()] = header.decode().split("-")[1:3]
    own = found.pop("garbage")
    assert {name: trace_id for name, (trace_id, _) in found.items()} == traces
    assert own[0] not in traces.values()

    spans = exporter.get_finished_spans()
    by_trace: dict[str, set[str]] = {}
    for span in spans:
        assert span.context is not None
        by_trace.setdefault(f"{span.context.trace_id:032x}", set()).add(span.name)
    for trace_id in (*traces.values(), own[0]):
        assert by_trace[trace_id] == {f"process {topics.deliveries}", "publish"}
    linked = {link.context.trace_id for span in spans if span.name == "kafka transaction" for link in span.links}
    assert {f"{each:032x}" for each in linked} == {*traces.values(), own[0]}
    processed = {f"{span.context.span_id:016x}" for span in spans if span.name.startswith("process") and span.context}
    assert {span_id for _, span_id in found.values()} <= processed
