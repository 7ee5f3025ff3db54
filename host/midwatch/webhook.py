"""The host over HTTP, on a bound socket: the API with its streams, for as long as a block runs."""

import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio
from starlette.routing import BaseRoute

from midwatch.host import Host
from midwatch.serving import is_loopback
from midwatch_kit.serving import Serving, serving


@asynccontextmanager
async def serve(host: Host, listening: socket.socket, more: Sequence[BaseRoute] = ()) -> AsyncGenerator[Serving]:
    """Serve the API, with more routes that prove by themselves who asks, on a bound socket while the block runs.

    Raises `BadSettings` when other machines could ask, and none could prove who it is.
    """
    from midwatch.api.over import api_over  # noqa: PLC0415 - it takes long to import, and most commands need none

    app, hub = api_over(host, more, local=is_loopback(listening))
    async with anyio.create_task_group() as looking:
        looking.start_soon(hub.keep_looking)
        async with serving(app, listening, host.settings.grace_seconds) as running:
            try:
                yield running
            finally:
                hub.close()
        looking.cancel_scope.cancel()
