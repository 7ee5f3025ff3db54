"""What the tests of the contract check share: servers over HTTP in this process, and a plan to check them by."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from mcp.server import MCPServer
from tests.web import PromptServer, loopback

from midwatch.conformance import Plan, Report
from midwatch.conformance.verdicts import Mark
from midwatch.settings import ServerSpec
from midwatch_kit import EvidenceServer, ServerSettings, Signal, resolve_baseline, resolve_window

Serve = Callable[[MCPServer[Any]], AbstractAsyncContextManager[ServerSpec]]
MakePlan = Callable[..., Plan]


@pytest.fixture
def serve() -> Serve:
    """Return a function that serves an MCP server on a free port for the length of a block."""

    @asynccontextmanager
    async def serving(server: MCPServer[Any]) -> AsyncGenerator[ServerSpec]:
        listening = loopback()
        app = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=True, json_response=True)
        web = PromptServer(uvicorn.Config(app, log_config=None))
        async with anyio.create_task_group() as group:
            group.start_soon(web.serve, [listening])
            yield ServerSpec(url=f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
            web.end()
        listening.close()

    return serving


@pytest.fixture
def make_plan() -> MakePlan:
    """Return a function that makes a plan for a window in the night of the story."""

    def make(start: str = "2026-11-20T02:47:12Z", end: str = "2026-11-20T02:48:05Z", **more: Any) -> Plan:
        window = resolve_window(start, end)
        return Plan(window, resolve_baseline(window, None, None), **more)

    return make


@pytest.fixture
def pond(tmp_path: Path) -> EvidenceServer:
    """Return a server of the kit without tools."""
    settings = ServerSettings(evidence_dir=tmp_path / "evidence")
    return EvidenceServer("pond", Signal.METRICS, settings, version="1", instructions="Counts fish.")


def marked(report: Report, mark: Mark) -> dict[str, str]:
    """Return what was seen of each rule that stands so."""
    return {verdict.rule: verdict.seen for verdict in report.verdicts if verdict.mark is mark}
