"""The worker as a whole: built from settings, probed over HTTP, run until SIGTERM."""

import structlog

from worker import __version__
from worker.consumption import Consumption
from worker.exceptions import FatalError, LossgateError
from worker.health import HealthServer, HealthState
from worker.kafka.budget import Budget
from worker.kafka.client_config import consumer_config, make_consumer
from worker.kafka.intake import delivery_bytes
from worker.metrics import show_zeros
from worker.pipeline import Pipeline, open_pipeline
from worker.settings import Settings
from worker.trace_export import open_tracing

log = structlog.get_logger(__name__)


def run_service(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises:
        SettingsError: a setting can't work.
        FatalError: the worker must not go on; what is in flight stays uncommitted.
    """
    show_zeros()
    health = HealthState()
    with (
        open_tracing(),
        HealthServer(settings.health_host, settings.health_port, health),
        open_pipeline(settings) as pipeline,
    ):
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
    Consumption(
        settings,
        pipeline,
        make_consumer(consumer_config(settings)),
        Budget(settings.max_in_flight_deliveries, settings.max_in_flight_bytes, delivery_bytes(settings)),
        health=health,
    ).run()
