"""The doctor: asks every server how it is and says, in one table, what works and what to do. Changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import anyio

from midwatch.host import Host
from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.toolbox import Tool
from midwatch.mcp_client.trust import Standing, Use
from midwatch.runbook_check import check_binding
from midwatch_kit.server import Role

_ALLOW = "name the tools that may be asked in allow, in the servers file; midwatch server tools shows them"


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
    down = host.eyes.down()
    gone = [
        Finding(name, "connection", ok=False, detail=why, do=f"see {host.settings.data_dir}/servers/{name}.log")
        for name, why in down.items()
    ]
    tools = [tool for tool in host.eyes.tools(Role.CHECK) if tool.server not in down]
    found: dict[Tool, list[Finding]] = {}

    async def check(tool: Tool) -> None:
        found[tool] = await _check(host, tool)

    async with anyio.create_task_group() as group:
        for tool in tools:
            group.start_soon(check, tool)
    bound = [finding for name in host.eyes.runbooks() if name not in down for finding in await _runbooks(host, name)]
    offered = [each for each in host.eyes.standings() if each.pin or each.server not in down]
    return [*gone, *trust(offered), *bound, *(finding for tool in tools for finding in found[tool])]


def trust(standings: Iterable[Standing]) -> list[Finding]:
    """Return what is used of each server that isn't of the suite, and every name in the settings that doesn't hold."""
    found: list[Finding] = []
    for server, group in groupby(standings, key=lambda standing: standing.server):
        tools = list(group)
        if any(tool.named or tool.use is Use.NOTHING for tool in tools):
            found += [_used(server, tools), *(_void(tool) for tool in tools if tool.named and tool.use is Use.NOTHING)]
    return found


def _used(server: str, tools: Sequence[Standing]) -> Finding:
    asked = [tool.tool for tool in tools if tool.use is Use.EYES]
    hands = [tool.tool for tool in tools if tool.use is Use.HANDS]
    others = [tool.tool for tool in tools if tool.use is Use.NOTHING and tool.pin]
    said = {"asked": asked, "called by approved plans": hands, "not used": others}
    detail = "; ".join(f"{what}: {', '.join(names)}" for what, names in said.items() if names)
    ok = bool(asked or hands)
    return Finding(server, "tools", ok, detail, "" if ok else _ALLOW)


def _void(tool: Standing) -> Finding:
    what, _, do = tool.why.partition(": ")
    return Finding(tool.server, tool.tool, ok=False, detail=what, do=do or "correct the servers file")


async def _runbooks(host: Host, server: str) -> list[Finding]:
    held = await check_binding(server, host.eyes.runbooks()[server], host.eyes, host.settings.call_seconds)
    return [Finding(server, one.part, one.ok, one.detail, one.do) for one in held]


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
