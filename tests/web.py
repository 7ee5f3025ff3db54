"""A web server for tests, which start and end hundreds of them."""

import asyncio
import socket
from concurrent.futures import Future

import uvicorn

_A_FEW = 5


class PromptServer(uvicorn.Server):
    """Ends at once: uvicorn's own looks ten times a second whether it should, and is patient with what is under way."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended: Future[None] = Future()

    def end(self) -> None:
        """Stop serving; from any thread."""
        self._ended.set_result(None)

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self.on_tick(0)
        await asyncio.wrap_future(self._ended)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Break off whatever there is, and end when all of it is closed: of what stays open a later test would hear."""
        for listening in (each for server in self.servers for each in server.sockets):
            asyncio.get_running_loop().remove_reader(listening)
        await _turns()  # what was accepted a moment ago becomes a connection, which it can't once a server is closed
        for server in self.servers:
            server.close()
        under_way = list(self.server_state.tasks)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await _turns()
        await self.lifespan.shutdown()


async def _turns() -> None:
    """Let the loop do what it has put off, and what follows from that."""
    for _ in range(_A_FEW):
        await asyncio.sleep(0)


def loopback() -> socket.socket:
    """A socket that listens on a free port of this machine, and whose answers are not held back.

    Without the option each answer after a connection's first comes 40 ms late.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
