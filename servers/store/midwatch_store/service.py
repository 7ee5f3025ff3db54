"""The receiver as a process: listens, writes, merges and expires until it is told to stop, then ends in order.

On SIGTERM or SIGINT it takes no new request, answers those it has once their rows are on disk, and returns.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import anyio
import uvicorn

from midwatch_store.compaction import compact
from midwatch_store.errors import CannotListen, NotWritable
from midwatch_store.intake import Intake
from midwatch_store.receiver import build_app
from midwatch_store.retention import expire
from midwatch_store.settings import Settings
from midwatch_store.writer import Writer

_MAX_CONNECTIONS: Final = 512
_DRAIN_SECONDS: Final = 35

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until a signal comes; raises StoreBusy, NotWritable or CannotListen before anything is served."""
    with _open_writer(settings) as writer, _listen(settings) as listener:
        anyio.run(_serve, settings, writer, listener)


async def _serve(settings: Settings, writer: Writer, listener: socket.socket) -> None:
    intake = Intake(
        writer,
        capacity=settings.max_waiting,
        capacity_bytes=settings.max_waiting_bytes,
        flush_seconds=settings.flush_seconds,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(writer, intake, settings),
            log_config=None,
            log_level="warning",
            server_header=False,
            access_log=False,
            lifespan="off",
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    )
    # Around all the rest: uvicorn raises the signal it stopped for once more when it is done.
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as flusher:
            flusher.start_soon(intake.run)
            async with anyio.create_task_group() as beside:
                beside.start_soon(_stop_on_signal, server, signals)
                beside.start_soon(_upkeep, writer, settings)
                if settings.while_stdin_open:
                    beside.start_soon(_stop_with_stdin, server)
                _announce(settings, listener)
                await server.serve(sockets=[listener])
                beside.cancel_scope.cancel()
            intake.close()


async def _stop_on_signal(server: uvicorn.Server, signals: AsyncIterator[signal.Signals]) -> None:
    async for _ in signals:
        server.should_exit = True


async def _stop_with_stdin(server: uvicorn.Server) -> None:
    """Stop when standard input ends, which it has already when it is no pipe but a file."""
    with suppress(PermissionError):
        await anyio.wait_readable(sys.stdin)
        while os.read(sys.stdin.fileno(), 4096):
            await anyio.wait_readable(sys.stdin)
    server.should_exit = True


async def _upkeep(writer: Writer, settings: Settings) -> None:
    """Merge, then delete, never both at once; a round that fails is reported and the next one tried."""
    while True:
        now = datetime.now(UTC)
        try:
            await anyio.to_thread.run_sync(compact, writer, now)
            gone = await anyio.to_thread.run_sync(expire, writer, now, settings.max_age, settings.max_bytes)
        except OSError as error:
            log.warning("the store could not be tidied: %s", error)
        else:
            if gone:
                log.info("deleted %d hours, up to %s", len(gone), gone[-1])
        await anyio.sleep(settings.upkeep_seconds)


def _open_writer(settings: Settings) -> Writer:
    try:
        return Writer(settings.dir)
    except OSError as error:
        raise NotWritable(settings.dir, error) from error


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_MAX_CONNECTIONS)
    except OSError as error:
        raise CannotListen(settings.host, settings.port, error) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer after the first is 40 ms late
    return listener


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    line = f"midwatch-store: listening on http://{address}:{port}, keeping {os.path.abspath(settings.dir)}\n"
    sys.stderr.write(line)
    sys.stderr.flush()
