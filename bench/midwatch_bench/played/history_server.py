"""An MCP server that knows nothing of midwatch: the history of the documents that services read their settings from.

    python -m midwatch_bench.played.history_server HISTORY.json

Its tools declare no roles, its answers no evidence, and its times are as it likes them.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

_READS: Final = ToolAnnotations(read_only_hint=True, destructive_hint=False)


def server(history: Path) -> MCPServer:
    """Return the server over the revisions in a file."""
    revisions: list[dict[str, Any]] = json.loads(history.read_text(encoding="utf-8"))
    made = MCPServer("confbook")

    @made.tool(annotations=_READS)
    def list_revisions(document: str = "") -> str:
        """List saved revisions of settings documents, the newest first; a part of a document's name narrows it."""
        wanted = [each for each in reversed(revisions) if document in each["document"]]
        lines = [f"{r['revision']}  {r['saved']}  {r['document']}  {r['editor']}: {r['note']}" for r in wanted]
        return "\n".join(lines) or "no such document"

    @made.tool(annotations=_READS)
    def show_revision(revision: str) -> str:
        """Show one revision of a settings document: what was removed and what was added."""
        found = next((each for each in revisions if each["revision"] == revision), None)
        return json.dumps(found, indent=1) if found else f"no revision {revision}"

    return made


if __name__ == "__main__":
    server(Path(sys.argv[1])).run()
