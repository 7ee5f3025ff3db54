"""How a client asks, and what it reads of a reply."""

import json
from typing import Any

from mcp import Client
from mcp.types import CallToolResult


def text_of(reply: CallToolResult) -> str:
    return reply.content[0].text  # type: ignore[union-attr]


async def asked(client: Client, tool: str, **arguments: Any) -> str:
    reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, text_of(reply)
    return text_of(reply)


async def refused(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    """The code and the words of an error."""
    reply = await client.call_tool(tool, arguments)
    assert reply.is_error, text_of(reply)
    return str((reply.meta or {})["midwatch/error"]), text_of(reply)


async def document(client: Client, tool: str, part: str = "evidence", **arguments: Any) -> Any:
    """The stored bytes behind a reply, read."""
    reply = await client.call_tool(tool, arguments)
    assert not reply.is_error, text_of(reply)
    kept = (reply.meta or {})[f"midwatch/{part}"]
    pages = [await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{n}") for n in range(kept["pages"])]
    return json.loads("".join(page.contents[0].text for page in pages))  # type: ignore[union-attr]
