"""A server of the suite over stdio without its survey: what it reads, and no statistics over it.

python -m midwatch_bench.played.raw logs
"""

import importlib
import sys
from typing import Any, get_type_hints

import anyio
from mcp.server.mcpserver import MCPServer

from midwatch_kit.server import Role


def main() -> None:
    """Serve until stdin ends; what it reads is set as ever."""
    build = importlib.import_module(f"midwatch_{sys.argv[1]}.server").build
    server: MCPServer[Any] = build(get_type_hints(build)["settings"](_cli_parse_args=[])).build()
    anyio.run(_forget_surveys, server)
    server.run()


async def _forget_surveys(server: MCPServer[Any]) -> None:
    for tool in await server.list_tools():
        if (tool.meta or {}).get("midwatch/role") == Role.SURVEY:
            server.remove_tool(tool.name)


if __name__ == "__main__":
    main()
