"""The pool of PostgreSQL connections, traced and measured; the statements live with the services."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

from opentelemetry import metrics
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.metrics import CallbackOptions, Observation
from psycopg_pool import AsyncConnectionPool

from app.environment import text

POOL_SIZE = 4
WAIT_SECONDS = 2.0
LOCK_MS = 1000


@asynccontextmanager
async def connected() -> AsyncGenerator[AsyncConnectionPool]:
    """Open the pool at `DATABASE_URL`, and close it at the end."""
    PsycopgInstrumentor().instrument()
    pool = AsyncConnectionPool(
        text("DATABASE_URL"),
        kwargs={"application_name": text("OTEL_SERVICE_NAME", "robots"), "options": f"-c lock_timeout={LOCK_MS}"},
        min_size=1,
        max_size=POOL_SIZE,
        timeout=WAIT_SECONDS,
        open=False,
        name="robots",
    )
    _measure(pool)
    async with pool:
        await pool.wait()
        yield pool


def _measure(pool: AsyncConnectionPool) -> None:
    labels = {"db.client.connection.pool.name": pool.name}

    def connections(_: CallbackOptions) -> Iterable[Observation]:
        stats = pool.get_stats()
        idle = stats.get("pool_available", 0)
        yield Observation(idle, {**labels, "db.client.connection.state": "idle"})
        yield Observation(stats.get("pool_size", 0) - idle, {**labels, "db.client.connection.state": "used"})

    def figure(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [Observation(pool.get_stats().get(name, 0), labels)]

    meter = metrics.get_meter(__name__)
    meter.create_observable_up_down_counter(
        "db.client.connection.count", [connections], "{connection}", "Connections of the pool by state"
    )
    meter.create_observable_up_down_counter(
        "db.client.connection.max", [figure("pool_max")], "{connection}", "Connections that the pool may have"
    )
    meter.create_observable_up_down_counter(
        "db.client.connection.pending_requests", [figure("requests_waiting")], "{request}", "Who waits for a connection"
    )
    meter.create_observable_counter(
        "db.client.connection.timeouts", [figure("requests_errors")], "{timeout}", "Who waited for one in vain"
    )
