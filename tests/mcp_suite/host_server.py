"""`midwatch mcp` over streamable HTTP, with what the suite asks for beside its own tools."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from tests.mcp_suite.fixtures import offer_fixtures

from midwatch.mcp_server.running import Running
from midwatch.mcp_server.server import build, serve
from midwatch.settings import Settings


def build_everything(running: Running) -> MCPServer[Any]:
    """Return the host's server with the fixtures of the suite on it."""
    server = build(running)

    @server.tool()
    def test_simple_text() -> str:
        """A text."""
        return "This is a simple text response for testing."

    @server.tool()
    def test_error_handling() -> str:
        """An error."""
        raise ToolError("This tool intentionally returns an error for testing")

    return offer_fixtures(server)


async def main(folder: str) -> None:
    """Serve on a free port until a signal comes; stderr says which."""
    settings = Settings(data_dir=Path(folder) / "data", steering_dir=Path(folder) / "steering")
    await serve(settings, "streamable-http", "127.0.0.1", int(sys.argv[-1]), build_everything)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, folder)
