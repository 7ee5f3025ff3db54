"""`midwatch up`: the store, the servers, the webhook and the investigations, until it is told to stop."""

import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from rich.console import Console

from midwatch import webhook
from midwatch.channels.running import telling
from midwatch.demo import store_process
from midwatch.host import Host, open_host
from midwatch.reading.live import LiveView
from midwatch.retention import keep_pruning
from midwatch.serving import handed_over, listen
from midwatch.settings import Settings
from midwatch.storage.one_file import make_folder
from midwatch.tracing import tracing
from midwatch.work.alone import work_alone
from midwatch.work.waiting import unfinished

_OUR_PORT = "--port or MIDWATCH_LISTEN_PORT"
_Work = Callable[[], Awaitable[None]]


async def up(settings: Settings, console: Console) -> None:
    """Run until SIGINT or SIGTERM; raises `HostError` when a part cannot start.

    Without the store, servers read whatever they are set to read.
    """
    listening = handed_over() or listen(settings.listen_address, settings.listen_port, _OUR_PORT)
    first: list[_Work] = []
    async with _until_signalled(first, settings.grace_seconds), AsyncExitStack() as parts:
        parts.enter_context(listening)
        make_folder(settings.data_dir)
        if settings.run_store:
            folder = settings.store or settings.own_store
            settings = settings.model_copy(update={"store": folder})
            store = store_process(folder, settings.data_dir / "logs", settings.store_port)
            _say(console, f"store    {await parts.enter_async_context(store)}  (OTLP/HTTP, into {folder})")
        host = await parts.enter_async_context(open_host(settings, wait=False))
        host.journal.listeners.append(LiveView(console, several=True).show)
        await parts.enter_async_context(tracing(host.journal))
        routes = await parts.enter_async_context(telling(host))
        served = await parts.enter_async_context(webhook.serve(host, listening, routes))
        first.append(served.drain)
        _say(console, f"webhook  {served.url}/alerts  (Alertmanager or plain JSON)")
        await host.eyes.tried()  # alerts are taken meanwhile, and wait in the journal
        for name, why in host.eyes.missing().items():
            _say(console, f"server {name} is missing: {why}", "yellow")
        await host.learn()  # servers load what they need before an alert needs them
        _say(console, "ready    investigating what comes")
        for incident in unfinished(host.journal):  # some of them may be another host's
            _say(console, f"unfinished {incident.id}: {incident.title}")
        await _work(host)


def _say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is: a log's lines are not as wide as a terminal, and what they tell of is no markup."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


async def _work(host: Host) -> None:
    """Investigate what is due, and watch what is concluded: beside other hosts where they share a database."""
    async with anyio.create_task_group() as group:
        if host.settings.watch.enabled:
            group.start_soon(host.recovery_watch().run)
        group.start_soon(host.keep_learning)
        if host.settings.retention.days is not None:
            group.start_soon(keep_pruning, host.journal, host.eyes.kept, host.settings)
        if host.settings.database_url is None:
            await work_alone(host)
        else:
            from midwatch.work.shared import work_shared  # noqa: PLC0415 - it comes with the extra postgresql

            await work_shared(host, host.settings.database_url.get_secret_value())


@asynccontextmanager
async def _until_signalled(first: Sequence[_Work], grace_seconds: float) -> AsyncGenerator[None]:
    """Run the block until a signal asks for the end; what is to be done `first` gets some seconds for it."""
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope, first, grace_seconds)
        yield
        group.cancel_scope.cancel()


async def _stop_on_signal(everything: anyio.CancelScope, first: Sequence[_Work], grace_seconds: float) -> None:
    """End everything in order; at once on a second signal. Investigations are left to whoever starts next."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(signals)
        async with anyio.create_task_group() as group:
            group.start_soon(_at_once, signals, group.cancel_scope)
            with anyio.move_on_after(grace_seconds):
                for each in first:
                    await each()
            group.cancel_scope.cancel()
    everything.cancel()


async def _at_once(signals: AsyncIterator[signal.Signals], waiting: anyio.CancelScope) -> None:
    await anext(signals)
    waiting.cancel()
