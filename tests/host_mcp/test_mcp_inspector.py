"""The official MCP Inspector takes an incident from its alert to the packet through `midwatch mcp` alone."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.host_mcp.conftest import SEEN, case_environment

Inspect = Callable[..., "tuple[int, dict[str, Any]]"]


def test_the_inspector_goes_from_the_alert_to_the_packet(inspect: Inspect, tmp_path: Path) -> None:
    environment = case_environment(tmp_path)
    midwatch = [sys.executable, "-m", "midwatch", "mcp"]
    target = [*midwatch, *(word for key, value in environment.items() for word in ("-e", f"{key}={value}"))]
    start = json.dumps({"alert": SEEN, "wait": True, "timeout_seconds": 50})
    call = ["--method", "tools/call", "--tool-name", "start_investigation", "--tool-args-json", start]
    code, started = inspect(target, *call)
    assert (code, started["structuredContent"]["status"]) == (0, "awaiting_approval"), started
    where = f"midwatch://incident/{started['structuredContent']['incident']}/packet"
    code, read = inspect(target, "--method", "resources/read", "--uri", where)
    assert code == 0
    assert "Root cause: change at service:forge" in read["contents"][0]["text"]
