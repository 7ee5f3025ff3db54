"""What a client does with the replies of the deploys server."""

import json
from typing import Any

from mcp import Client, types

from midwatch_kit import Observation
from midwatch_kit.evidence import broken_citations


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return a tool's reply."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refusal(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    """Return the code and the words of a refusal."""
    result = await client.call_tool(tool, arguments)
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return (result.meta or {}).get("midwatch/error", "none"), content.text


async def stored(client: Client, found: dict[str, Any]) -> bytes:
    """Return the bytes of stored evidence."""
    pages = [
        (await client.read_resource(f"midwatch://evidence/{found['id']}/page/{n}")).contents[0]
        for n in range(found["pages"])
    ]
    return "".join(page.text for page in pages if isinstance(page, types.TextResourceContents)).encode()


async def rows(client: Client, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows behind a reply."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    document: dict[str, Any] = json.loads(await stored(client, (result.meta or {})["midwatch/evidence"]))
    return list(document["rows"])


async def observed(client: Client, **arguments: Any) -> list[Observation]:
    """Return a survey's observations, each with citations that hold."""
    meta = (await client.call_tool("survey_changes", arguments)).meta or {}
    document = await stored(client, meta["midwatch/evidence"])
    records = json.loads(await stored(client, meta["midwatch/records"]))["observations"]
    seen = [Observation.model_validate(record) for record in records]
    assert not [fault for each in seen for fault in broken_citations(each, {meta["midwatch/evidence"]["id"]: document})]
    return seen
