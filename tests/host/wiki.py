"""Wikis as MCP servers over streamable HTTP: one with tools as mcp-atlassian has them, one with resources alone."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp import types
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.mcpserver.resources import TextResource
from mcp.types import ToolAnnotations
from tests.backends.serving import listening

SITE: Final = "https://example.atlassian.net/wiki"
BINDING: Final[Mapping[str, Any]] = {
    "search": {"tool": "confluence_search", "arguments": {"query": "{query}", "limit": 5}, "link": "/url"},
    "fetch": {
        "tool": "confluence_get_page",
        "arguments": {"page_id": "{id}"},
        "title": "/metadata/title",
        "text": "/metadata/content/value",
        "link": "/metadata/url",
    },
    "addresses": [f"{SITE}/spaces/*/pages/{{id}}*", "*/pages/viewpage.action?pageId={id}"],
}
ALLOWED: Final = ["confluence_search", "confluence_get_page"]
READS: Final = ToolAnnotations(read_only_hint=True)
FORGE: Final = """# Forge is down

Forge reads old parts from its cache for an hour.

1. Look whether a deploy changed the blueprint.
2. If the field `finish` is missing, roll forge back.
"""
NEWS: Final = "# Party\n\nThere will be cake at the gateway."


@dataclass
class Wiki:
    """Pages by id, title and text; `trouble` says how it answers, `asked` and `writes` what it was asked to do."""

    pages: dict[str, tuple[str, str]] = field(default_factory=lambda: {"4821": ("Gateway errors", FORGE)})
    trouble: str = ""
    asked: list[str] = field(default_factory=list)
    writes: int = 0

    async def heed(self, question: str) -> None:
        """Note a question, and be in trouble with it."""
        self.asked.append(question)
        if self.trouble == "hangs":
            await anyio.sleep(60)
        if self.trouble == "breaks":
            raise RuntimeError("no")

    def page(self, number: str) -> dict[str, Any]:
        """Return a page without its text, as the search tells it."""
        space = {"key": "OPS", "name": "Operations"}
        title, url = self.pages[number][0], f"{SITE}/spaces/OPS/pages/{number}"
        return {"id": number, "title": title, "type": "page", "url": url, "space": space, "attachments": []}

    def with_tools(self) -> "MCPServer[Any]":
        """A wiki that is asked by tools; what they answer is JSON in a text."""
        server: MCPServer[Any] = MCPServer("Confluence MCP Service")

        @server.tool(annotations=READS)
        async def confluence_search(query: str, limit: int = 10, spaces_filter: str | None = None) -> str:
            """Search Confluence content using simple terms or CQL."""
            await self.heed(f"search {query}")
            wanted = query.split()
            hits = [n for n, page in self.pages.items() if any(word in " ".join(page).lower() for word in wanted)]
            return json.dumps([self.page(number) for number in hits[:limit]], indent=2)

        @server.tool(annotations=READS)
        async def confluence_get_page(page_id: str, include_metadata: bool = True) -> str:
            """Get content of a specific Confluence page by its ID."""
            await self.heed(f"page {page_id}")
            if page_id not in self.pages:
                return json.dumps({"error": f"Failed to retrieve page by ID '{page_id}': 404"})
            content = {"value": self.pages[page_id][1], "format": "view"}
            return json.dumps({"metadata": {**self.page(page_id), "content": content}}, indent=2)

        @server.tool(annotations=ToolAnnotations(destructive_hint=True))
        async def confluence_update_page(page_id: str, content: str) -> str:
            """Update an existing page."""
            self.writes += 1
            return "updated"

        return server

    def with_resources(self) -> "MCPServer[Any]":
        """A wiki that has nothing but resources."""
        server: MCPServer[Any] = MCPServer("docs")
        for number, (title, text) in self.pages.items():
            server.add_resource(TextResource(uri=f"docs://runbooks/{number}", name=title, text=text))

        @server.resource("docs://services/{service}", mime_type="text/markdown")
        def of_service(service: str) -> str:
            return next(text for title, text in self.pages.values() if service in title.lower())

        return server


def without_tools() -> Server[Any]:
    """A server that does not even know what a tool is: asked for its tools, it says that there is no such method."""

    async def listed(_: object, __: object) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[types.Resource(uri="docs://runbooks/gateway", name="Gateway")])

    async def read(_: object, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        text = types.TextResourceContents(uri=asked.uri, text=FORGE)
        return types.ReadResourceResult(contents=[text])

    return Server("docs", version="1", on_list_resources=listed, on_read_resource=read)


@contextmanager
def served(server: "MCPServer[Any]") -> Generator[str]:
    """Serve an MCP server over streamable HTTP while the block runs; gives its address."""
    app = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=True, json_response=True)
    with listening(app, lifespan="on") as url:
        yield f"{url}/mcp"
