"""The queue of jobs: the table `jobs`, written by the schedule and emptied by the action service.

A job carries the trace context of the mission that queued it. The consumer's span links to it and doesn't
continue it: a mission is answered long before its job is done.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from psycopg import Error
from psycopg_pool import AsyncConnectionPool

QUEUE = "jobs"
MESSAGING = {"messaging.system": "postgresql", "messaging.destination.name": QUEUE}
LOOK_SECONDS = 0.5

tracer = trace.get_tracer(__name__)
_context = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Job:
    """One queued job, as the consumer gets it."""

    id: int
    robot: str
    task: str
    depot: int
    traceparent: str


async def send(pool: AsyncConnectionPool, robot: str, task: str, starts_at: datetime) -> int:
    """Queue a job and return its id."""
    attributes = {**MESSAGING, "messaging.operation.name": "send", "messaging.operation.type": "send"}
    with tracer.start_as_current_span(f"send {QUEUE}", kind=trace.SpanKind.PRODUCER, attributes=attributes) as span:
        carrier: dict[str, str] = {}
        _context.inject(carrier)
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "INSERT INTO jobs (robot, task, starts_at, traceparent) VALUES (%s, %s, %s, %s) RETURNING id",
                (robot, task, starts_at, carrier.get("traceparent", "")),
            )
            (job,) = await cursor.fetchone() or (0,)
        span.set_attribute("messaging.message.id", str(job))
        return int(job)


@asynccontextmanager
async def received(pool: AsyncConnectionPool) -> AsyncGenerator[Job | None]:
    """Hold the oldest job that nobody else holds, if there is one; it's done when the block ends without an error."""
    async with pool.connection() as connection, connection.transaction():
        with suppress_instrumentation():
            cursor = await connection.execute(
                "SELECT jobs.id, robot, task, depot, traceparent FROM jobs JOIN robots ON robots.id = robot"
                " WHERE status = 'queued' ORDER BY jobs.id LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED"
            )
            row = await cursor.fetchone()
        if row is None:
            yield None
            return
        job = Job(*row)
        with _processing(job):
            yield job
            await connection.execute("UPDATE jobs SET status = 'done', done_at = now() WHERE id = %s", (job.id,))


async def depth(pool: AsyncConnectionPool) -> int:
    """Return how many jobs wait."""
    with suppress_instrumentation():
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT count(*) FROM jobs WHERE status = 'queued'")
            (waiting,) = await cursor.fetchone() or (0,)
    return int(waiting)


class Backlog:
    """How many jobs wait, by its last look."""

    def __init__(self) -> None:
        self.waiting = 0

    async def watch(self, pool: AsyncConnectionPool) -> None:
        """Look and tell twice a second, until cancelled; a database that is away is told by those who need it."""
        gauge = metrics.get_meter(__name__).create_gauge("jobs.queue.depth", "{job}", "Jobs that wait")
        while True:
            with suppress(Error):
                self.waiting = await depth(pool)
                gauge.set(self.waiting, {"messaging.destination.name": QUEUE})
            await asyncio.sleep(LOOK_SECONDS)


def _processing(job: Job) -> AbstractContextManager[trace.Span]:
    sent_by = trace.get_current_span(_context.extract({"traceparent": job.traceparent})).get_span_context()
    return tracer.start_as_current_span(
        f"process {QUEUE}",
        kind=trace.SpanKind.CONSUMER,
        links=[trace.Link(sent_by)],
        attributes={
            **MESSAGING,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": str(job.id),
        },
    )
