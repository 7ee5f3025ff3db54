"""The queue server, asked as a client would ask it, in memory."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from queue_server import QueueSettings, build

START = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
WINDOW = {"start": "2026-11-20T02:45:00Z", "end": "2026-11-20T03:00:00Z"}


@pytest.fixture
def depths(tmp_path: Path) -> Path:
    """An hour of two queues: `mail` fills up from 02:45 on, `bills` does not."""
    lines = ["at,queue,service,depth"]
    for minute in range(60):
        at = (START + timedelta(minutes=minute)).isoformat()
        lines += [
            f"{at},mail,sender,{10 + minute % 3 + (200 if minute >= 45 else 0)}",
            f"{at},bills,clerk,{minute % 2}",
        ]
    file = tmp_path / "depths.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.fixture
async def client(depths: Path, tmp_path: Path) -> AsyncIterator[Client]:
    settings = QueueSettings(file=depths, evidence_dir=tmp_path / "evidence")
    async with Client(build(settings).build()) as connected:
        yield connected


async def told(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def test_a_queue_that_fills_up_comes_first_and_the_healthy_one_is_told(client: Client) -> None:
    survey = await told(client, "survey_queues", **WINDOW)
    assert survey["lines"] == ["mail holds 211 messages, 11 before", "bills holds 1 messages, 0 before"]


async def test_what_there_is_nothing_to_tell_of_is_named(client: Client) -> None:
    survey = await told(client, "survey_queues", entities=["service:sender", "service:shop"], **WINDOW)
    assert survey["matched"] == 1
    assert survey["hint"] == "Nothing to tell of service:shop."


async def test_a_queue_is_read_minute_by_minute(client: Client) -> None:
    read = await told(client, "read_queue", queue="mail", **WINDOW)
    assert (read["matched"], read["lines"][0]) == (15, "at=2026-11-20T02:45:00Z queue=mail depth=210.0")


async def test_an_unknown_queue_is_refused_with_those_that_exist(client: Client) -> None:
    result = await client.call_tool("read_queue", {"queue": "post"})
    assert result.is_error
    assert "there are bills, mail" in str(result.content)


async def test_a_file_that_is_missing_is_told_with_what_to_do(client: Client, depths: Path) -> None:
    depths.unlink()
    check = await told(client, "check_queues")
    assert check["lines"][0].endswith("→ name it: --file")
    survey = await client.call_tool("survey_queues", WINDOW)
    assert (survey.meta or {})["midwatch/error"] == "backend_down"
