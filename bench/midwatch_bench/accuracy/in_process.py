"""The suite's own servers in this process, over the SDK's in-memory transport: the same servers, without their start.

A server that is started takes a second of imports and a process; a case takes less than that. What the host does, and
what a server answers, is the same.
"""

import functools
import gc
import importlib
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from mcp import Client
from mcp.server.mcpserver import MCPServer

from midwatch.mcp_client.links import Reach, Unanswered
from midwatch.settings import ServerSpec
from midwatch_kit import EvidenceServer
from midwatch_kit.server import Role

TOPOLOGY = "topology"
"""What can be left out besides servers: all that they know of who depends on whom."""


def reach_without(left_out: frozenset[str]) -> Reach:
    """Return a way to reach the suite's servers within this process, but for those left out: they seem to be down.

    Where the topology is left out, no server offers to discover any.
    """

    @asynccontextmanager
    async def reach(spec: ServerSpec, _: float, log_path: Path) -> AsyncGenerator[Client]:
        if log_path.stem in left_out:
            raise Unanswered("it was left out", down=True)
        server = _built(spec, log_path.with_suffix("")).build()
        if TOPOLOGY in left_out:
            await _forget_topology(server)
        async with Client(server) as client:
            yield client

    return reach


async def _forget_topology(server: MCPServer[Any]) -> None:
    for tool in await server.list_tools():
        if (tool.meta or {}).get("midwatch/role") == Role.DISCOVER:
            server.remove_tool(tool.name)


def _built(spec: ServerSpec, evidence: Path) -> EvidenceServer:
    """Return the server that a spec would start with `-m MODULE`, with the settings in its environment and flags."""
    build = _imported(f"{spec.args[1]}.server").build
    settings_class = get_type_hints(build)["settings"]
    with _environment(spec.env):
        server: EvidenceServer = build(settings_class(evidence_dir=evidence, _cli_parse_args=spec.args[2:]))
    return server


@functools.cache
def _imported(name: str) -> ModuleType:
    """Import a server's module, and leave it out of garbage collections, as a server that is started does."""
    module = importlib.import_module(name)
    gc.freeze()
    return module


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
