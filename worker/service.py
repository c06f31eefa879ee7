"""The worker as a whole: built from settings, run until SIGTERM, drained, taken down.

The order of the teardown matters: first the outcomes are published, then the group is left,
then the decoders are killed, which ends the lanes that are still at work.
"""

import structlog
from confluent_kafka import KafkaError

from worker import __version__
from worker.exceptions import FatalError, LossgateError
from worker.health import HealthServer, HealthState
from worker.kafka.brake import Brake
from worker.kafka.budget import Budget
from worker.kafka.client_config import consumer_config, make_consumer, make_producer, producer_config
from worker.kafka.intake import Intake, delivery_bytes
from worker.kafka.ledger import Ledger
from worker.kafka.outcomes import Outcome, OutcomeRecords
from worker.kafka.publisher import Publisher, stall_limit_s
from worker.kafka.retry_plan import RetryPlan
from worker.kafka.wire import Wire
from worker.lanes import Lanes
from worker.metrics import show_zeros
from worker.pipeline import Pipeline, open_pipeline
from worker.readiness import readiness
from worker.settings import Settings
from worker.stop_signals import stop_on_signals

log = structlog.get_logger(__name__)

_PUBLISHER_CLOSE_S = 10.0  # after the drain only a transaction in flight is left to end


def run_service(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises:
        SettingsError: a setting can't work.
        FatalError: the worker must not go on; what is in flight stays uncommitted.
    """
    show_zeros()
    health = HealthState()
    with HealthServer(settings.health_host, settings.health_port, health), open_pipeline(settings) as pipeline:
        log.info("worker_started", version=__version__, group=settings.kafka_group_id, topic=settings.deliveries_topic)
        try:
            _consume(settings, pipeline, health)
        except LossgateError:
            log.exception("worker_failed")
            raise
        except Exception as error:
            log.exception("worker_failed")
            msg = f"The worker met a fault of its own ({type(error).__name__}); the log has the details."
            raise FatalError(msg) from error
        finally:
            health.set_ready(ready=False, why="stopping")


def _consume(settings: Settings, pipeline: Pipeline, health: HealthState) -> None:
    # The clients report to objects that are built from them; these two names close the circle.
    def fail(error: BaseException) -> None:
        intake.fail(error)

    def on_fatal(error: KafkaError) -> None:
        publisher.report_fatal(error)

    wire = Wire(settings, patience_s=settings.schema_registry_patience_s)
    budget = Budget(settings.max_in_flight_deliveries, settings.max_in_flight_bytes, delivery_bytes(settings))
    brake = Brake(settings.brake_dead_letters, settings.brake_window)
    ledger: Ledger[Outcome] = Ledger(budget)
    consumer = make_consumer(consumer_config(settings))
    producer = make_producer(producer_config(settings), on_fatal=on_fatal)
    publisher = Publisher(
        producer,
        consumer,
        ledger,
        OutcomeRecords(wire, settings),
        brake,
        fail=fail,
        stall_limit_s=stall_limit_s(settings.kafka_transaction_timeout_ms),
    )
    lanes = Lanes(
        pipeline,
        ledger,
        RetryPlan.of(settings),
        fail=lambda error: intake.fail(error, at_work=True),
        count=settings.lanes,
    )

    def on_poll() -> None:
        health.heartbeat()
        stopped_by = brake.why if brake.is_engaged else None
        health.set_ready(
            *readiness(is_publishing=publisher.is_ready, partitions=len(ledger.partitions), stopped_by=stopped_by)
        )

    intake = Intake(
        consumer,
        settings,
        ledger=ledger,
        budget=budget,
        brake=brake,
        wire=wire,
        dispatch=lanes.dispatch,
        quiesce=publisher.quiesce,
        on_poll=on_poll,
    )
    try:
        publisher.start()
        with stop_on_signals(intake.stop):
            is_drained = intake.run(settings.drain_deadline_s)
        log.info("drained" if is_drained else "drain_deadline_passed", left_uncommitted=ledger.unsettled)
    finally:
        health.set_ready(ready=False, why="stopping")
        lanes.close()
        publisher.close(_PUBLISHER_CLOSE_S)
        intake.close()
        wire.close()
