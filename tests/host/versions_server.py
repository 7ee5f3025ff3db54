"""A server that knows which version of a service runs: v7, since 02:47:40. Built on `odd_server`."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    import odd_server as odd


def get_version(_: dict[str, Any]) -> dict[str, Any]:
    return odd.answered([{"version": "v7", "since": "2026-11-20T02:47:40Z"}])


odd.TOOLS[:] = [
    {
        "name": "get_version",
        "inputSchema": {"type": "object", "properties": {key: {"type": "string"} for key in ("service", "before")}},
        "annotations": {"readOnlyHint": True},
        "_meta": {"midwatch/role": "drill_down", "midwatch/signal": "changes", "midwatch/key": "service"},
    }
]
odd.HANDLERS.update(get_version=get_version)
odd.main(sys.argv[1:])
