"""Several hosts that share one PostgreSQL: each incident is worked on by one of them at a time.

The queue is procrastinate's (procrastinate.readthedocs.io): a job for each incident that is due, locked by the
incident, and a queue of its own for what somebody decided on, so that it waits for no investigation. A host that falls
silent loses its jobs to the others after `takeover_seconds`; when it was only paused, it finds out at its next record,
which the database refuses it.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from itertools import chain, islice

import anyio
import procrastinate
import psycopg
import sqlalchemy as sa
from procrastinate import exceptions, manager
from procrastinate.jobs import Job
from procrastinate.schema import SchemaManager

from midwatch.errors import DatabaseDown, LostClaim, first_of
from midwatch.host import Host
from midwatch.records import Incident, Message
from midwatch.settings import Settings
from midwatch.storage.claim import is_claimed
from midwatch.storage.database import POSTGRESQL, Database
from midwatch.troubles import Trouble
from midwatch.work.investigating import investigate
from midwatch.work.waiting import urgency, waiting, with_places

_BEATS = 4
"""Heartbeats in the time after which a host counts as silent."""
_LOOK_EVERY, _DOWN_SECONDS, _GRACE_SECONDS, _ENDING_SECONDS = 1.0, 1.0, 0.5, 5.0
_MOST_QUEUED = 50
"""Incidents that are queued in one turn."""
_TASK = "investigate"
_DECIDED, _OTHERS = "decided", "default"
"""Queues. The second is the one that all jobs were in before there was the first: hosts of then are taken over from."""
_HELD = sa.text(
    "SELECT 1 FROM procrastinate_jobs WHERE id = :job AND attempts = :attempts AND status = 'doing' FOR SHARE"
)
_PATIENCE = sa.text("SET LOCAL idle_in_transaction_session_timeout = '5s'")
_STILL = sa.text("SELECT 1")
_JOBS = sa.text("SELECT lock, queue_name, args ->> 'team' FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
_VERSION = sa.text("SELECT obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")
_THERE = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_log = logging.getLogger(__name__)


async def work_shared(host: Host, url: str) -> None:
    """Investigate what is due, beside the other hosts on the same database, until cancelled."""
    prepare_queue(host.journal.database)
    trouble = Trouble(_log, "the queue")
    while True:
        app = _application(host, url)
        try:
            async with app.open_async(), anyio.create_task_group() as group:
                trouble.over()
                group.start_soon(_look_after, host, app)
                await _run_workers(host.settings, app)
                _log.warning("a worker of the queue ended, starting it again")  # it does when a connection of it breaks
                group.cancel_scope.cancel()
        except* (exceptions.ConnectorException, DatabaseDown, OSError) as group_of:
            error = first_of(group_of)
            trouble.met(error.__cause__ or error)
        await anyio.sleep(_DOWN_SECONDS)


async def _run_workers(settings: Settings, app: procrastinate.App) -> None:
    """Run a worker for each queue until cancelled or broken, and let them end in order: they give back what they have.

    They are told once, in asyncio's way. A cancel scope would tell them again at each of their last waits, so that
    their jobs would outlive the connections.
    """
    workers = [asyncio.ensure_future(_run_worker(settings, app, queue)) for queue in (_DECIDED, _OTHERS)]
    ended: set[asyncio.Task[None]] = set()
    try:
        ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for worker in workers:
            worker.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait(workers, timeout=_ENDING_SECONDS)
    for worker in ended:
        worker.result()


async def _run_worker(settings: Settings, app: procrastinate.App, queue: str) -> None:
    await app.run_worker_async(
        queues=[queue],
        name=queue,
        concurrency=settings.investigations_at_once,
        install_signal_handlers=False,
        shutdown_graceful_timeout=_GRACE_SECONDS,
        fetch_job_polling_interval=_LOOK_EVERY,
        update_heartbeat_interval=settings.takeover_seconds / _BEATS,
        stalled_worker_timeout=settings.takeover_seconds,
        delete_jobs="always",
    )


def prepare_queue(database: Database) -> None:
    """Make the queue's tables, or bring them to what the installed procrastinate wants."""
    steps = sorted(
        file.name for file in resources.files("procrastinate.sql.migrations").iterdir() if file.name.endswith(".sql")
    )
    with database.writing("migrations") as connection:
        done = connection.execute(_VERSION).scalar()
        if not connection.execute(_THERE).scalar():
            _run(connection, SchemaManager.get_schema())
        elif done != steps[-1]:
            for step in (step for step in steps if done and step > done):
                _run(connection, (resources.files("procrastinate.sql.migrations") / step).read_text(encoding="utf-8"))
        connection.execute(sa.text(f"COMMENT ON TABLE procrastinate_jobs IS '{steps[-1]}'"))


def _run(connection: sa.Connection, script: str) -> None:
    """Run a script of several statements, as the driver takes it when it has no parameters."""
    connection.connection.cursor().execute(script)


class _Jobs(manager.JobManager):
    """The queue's jobs; that another host was faster with one is said, and is no failure here."""

    async def finish_job(self, job: Job, status: procrastinate.jobs.Status, delete_job: bool) -> None:
        """Take a job out of the queue."""
        with _unless_another_host_has_it(job):
            await super().finish_job(job, status, delete_job)


@contextmanager
def _unless_another_host_has_it(job: Job) -> Iterator[None]:
    try:
        yield
    except exceptions.ConnectorException as error:
        if not isinstance(error.__cause__, psycopg.errors.RaiseException):  # that is how the queue itself says no
            raise
        _log.warning("%s was taken over by another host", job.lock)


def _application(host: Host, url: str) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=url,
        kwargs={**POSTGRESQL, "application_name": "midwatch work"},
        configure=_commit_each,
        min_size=1,
        max_size=5,
    )
    app = procrastinate.App(connector=connector)
    app.job_manager = _Jobs(connector)

    @app.task(name=_TASK, pass_context=True)
    async def work_on(context: procrastinate.JobContext, incident: str, team: str | None) -> None:
        await _work_on(host, context.job, incident)

    return app


async def _commit_each(connection: psycopg.AsyncConnection) -> None:
    """Have each statement commit by itself: a record that waits for its locks would keep the loop from committing."""
    await connection.set_autocommit(True)


async def _work_on(host: Host, job: Job, name: str) -> None:
    """Work on an incident for as long as the job is this host's."""

    def held(connection: sa.Connection) -> None:
        if connection.execute(_HELD, {"job": job.id, "attempts": job.attempts}).scalar() is None:
            raise LostClaim(f"another host has taken {name} over")

    patience = timedelta(seconds=host.settings.approval_seconds)
    found = waiting(host.journal, patience, only=name)
    due = next(iter(found.decided + found.others), None)
    if due is None:
        return
    journal = host.journal.fenced(held)
    try:
        worker = Message(text=f"worked on by {socket.gethostname()}:{os.getpid()}")
        journal.note(name, "message", f"worker:{job.id}:{job.attempts}", worker)
        await investigate(replace(host, journal=journal), due)
    except (DatabaseDown, LostClaim) as error:
        _log.warning("%s goes on elsewhere, or later: %s", name, error)


async def _look_after(host: Host, app: procrastinate.App) -> None:
    """Queue what is due and in no queue, and give what a silent host held to the others."""
    trouble = Trouble(_log, "queueing")
    while True:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=host.settings.takeover_seconds):
            if job.lock in host.at_work:  # it was this host that was silent
                continue
            _log.warning("a host fell silent: %s goes on elsewhere", job.lock)
            with _unless_another_host_has_it(job):
                await app.job_manager.retry_job(job)
        try:
            await _queue_what_is_due(host, app)
            trouble.over()
        except DatabaseDown as error:
            trouble.met(error)
        await anyio.sleep(_LOOK_EVERY)


async def _queue_what_is_due(host: Host, app: procrastinate.App) -> None:
    """Queue what is due, unless another host does: two that count a team's places at once would give one too many.

    One that is paused in the middle loses its turn to the database's patience, which each incident begins anew.
    """
    with host.journal.database.writing() as turn:
        turn.execute(_PATIENCE)
        ours = host.journal.database.try_lock(turn, "queueing")
        for queue, incident in _unqueued(host) if ours else ():
            turn.execute(_STILL)
            with anyio.CancelScope(shield=True):
                await _queue(app, queue, incident)


def _unqueued(host: Host) -> list[tuple[str, Incident]]:
    """Return what is due and in no queue, with its queue, and not so much that others wait long for their turn.

    To be investigated are no more of a team than its places.
    """
    with host.journal.database.reading() as connection:
        jobs = connection.execute(_JOBS).all()
    queued = {lock for lock, _, _ in jobs}
    teams = Counter(str(team) for _, queue, team in jobs if team and queue == _OTHERS)
    found = waiting(host.journal, timedelta(seconds=host.settings.approval_seconds))
    decided, others = (
        (each for each in some if each.id not in queued and not is_claimed(host.journal.database, each.id))
        for some in (found.decided, found.others)
    )
    placed = with_places(others, teams, host.settings.team_investigations_at_once)
    new = chain(((_DECIDED, each) for each in decided), ((_OTHERS, each) for each in placed))
    return [*islice(new, _MOST_QUEUED)]


async def _queue(app: procrastinate.App, queue: str, incident: Incident) -> None:
    """Queue an incident; of those in a queue the most urgent are taken first, and then the oldest."""
    name = incident.id
    job = app.configure_task(_TASK, queue=queue, priority=urgency(incident), lock=name, queueing_lock=name)
    with suppress(exceptions.AlreadyEnqueued):  # another host was faster
        await job.defer_async(incident=name, team=incident.owner)
