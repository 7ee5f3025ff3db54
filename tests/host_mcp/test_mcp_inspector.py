"""The official MCP Inspector takes an incident from its alert to the packet through `midwatch mcp` alone."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.story import SEEN_AT, Story

Inspect = Callable[..., "tuple[int, dict[str, Any]]"]


def test_the_inspector_goes_from_the_alert_to_the_packet(
    inspect: Inspect, environment_for: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    environment = environment_for(tmp_path)
    midwatch = [sys.executable, "-m", "midwatch", "mcp"]
    target = [*midwatch, *(word for key, value in environment.items() for word in ("-e", f"{key}={value}"))]
    alert = {**Story().alert(), "seen_at": Story().time(SEEN_AT)}
    start = json.dumps({"alert": alert, "wait": True, "timeout_seconds": 50})
    call = ["--method", "tools/call", "--tool-name", "start_investigation", "--tool-args-json", start]
    code, started = inspect(target, *call)
    assert (code, started["structuredContent"]["status"]) == (0, "awaiting_approval"), started
    where = f"midwatch://incident/{started['structuredContent']['incident']}/packet"
    code, read = inspect(target, "--method", "resources/read", "--uri", where)
    assert code == 0
    assert "Root cause: change at service:stock" in read["contents"][0]["text"]
