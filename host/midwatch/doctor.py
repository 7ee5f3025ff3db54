"""The doctor: asks every server how it is and says, in one table, what works and what to do. Changes nothing."""

from dataclasses import dataclass

import anyio

from midwatch.host import Host
from midwatch.links import Unanswered
from midwatch.toolbox import Tool
from midwatch_kit.server import Role


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table."""

    server: str
    what: str
    ok: bool
    detail: str
    do: str = ""


async def examine(host: Host) -> list[Finding]:
    """Return what the doctor found, server by server; a server that does not answer is a finding too."""
    missing = host.eyes.missing()
    gone = [
        Finding(name, "connection", ok=False, detail=why, do=f"see {host.settings.data_dir}/servers/{name}.log")
        for name, why in missing.items()
    ]
    tools = [tool for tool in host.eyes.tools(Role.CHECK) if tool.server not in missing]
    found: dict[Tool, list[Finding]] = {}

    async def check(tool: Tool) -> None:
        found[tool] = await _check(host, tool)

    async with anyio.create_task_group() as group:
        for tool in tools:
            group.start_soon(check, tool)
    return [*gone, *(finding for tool in tools for finding in found[tool])]


async def _check(host: Host, tool: Tool) -> list[Finding]:
    try:
        answer = await host.eyes.ask(tool, {}, host.settings.call_seconds)
    except Unanswered as error:
        return [Finding(tool.server, tool.name, ok=False, detail=str(error), do="see the server's log")]
    rows = [row for row in answer.rows if isinstance(row, dict)]
    return [
        Finding(
            tool.server,
            str(row.get("name", tool.name)),
            ok=bool(row.get("ok")),
            detail=str(row.get("detail", "")),
            do=str(row.get("do") or ""),
        )
        for row in rows
    ]
