"""`midwatch up`: the store, the servers, the webhook and the investigations, until it is told to stop."""

import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from rich.console import Console

from midwatch import webhook
from midwatch.approvals import ThroughTheJournal
from midwatch.demo import store_process
from midwatch.host import open_host
from midwatch.live import LiveView
from midwatch.settings import Settings
from midwatch_kit.window import resolve_window


async def up(settings: Settings, console: Console) -> None:
    """Run until SIGINT or SIGTERM; raises `HostError` when a part cannot start.

    Without the store, servers read whatever they are set to read.
    """
    listening = webhook.listen(settings.listen_address, settings.listen_port)
    async with _until_signalled(), AsyncExitStack() as parts:
        parts.enter_context(listening)
        if settings.run_store:
            folder = settings.store or settings.data_dir / "store"
            settings = settings.model_copy(update={"store": folder})
            store = store_process(folder, settings.data_dir / "logs", settings.store_port)
            console.print(
                f"store    {await parts.enter_async_context(store)}  (OTLP/HTTP, into {folder})", highlight=False
            )
        host = await parts.enter_async_context(open_host(settings))
        host.journal.listeners.append(LiveView(console).show)
        url = await parts.enter_async_context(webhook.serve(host, listening))
        console.print(f"webhook  {url}  (Alertmanager or plain JSON)", highlight=False)
        for name, why in host.eyes.missing().items():
            console.print(f"[yellow]server {name} is missing: {why}[/yellow]", highlight=False)
        await host.topology(resolve_window("-1h", "now"))  # servers load what they need before an alert needs them
        for incident in host.unfinished():
            console.print(f"resuming {incident.id}: {incident.title}", highlight=False)
        await host.keep_investigating(ThroughTheJournal(host.journal, settings.approval_seconds))


@asynccontextmanager
async def _until_signalled() -> AsyncGenerator[None]:
    """Run the block until a signal asks for the end."""
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        yield
        group.cancel_scope.cancel()


async def _stop_on_signal(everything: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            everything.cancel()
            return
