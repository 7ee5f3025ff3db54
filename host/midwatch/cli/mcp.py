"""The command that serves the host over MCP."""

from enum import StrEnum
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import run_async, settings_or_fail
from midwatch.mcp_server.server import serve


class Transport(StrEnum):
    """How a client connects."""

    STDIO = "stdio"
    HTTP = "streamable-http"


@app.command()
def mcp(
    transport: Annotated[Transport, typer.Option(help="how clients connect")] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="address to listen on, for streamable-http")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on, for streamable-http")] = 8751,
) -> None:
    """Serve investigations to an MCP client: start, follow, steer, ask, read."""
    run_async(serve, settings_or_fail(), transport.value, host, port)
