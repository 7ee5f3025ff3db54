"""The kit's page in the docs: its server runs as it stands there, and its tables are those of the code."""

import re
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from midwatch_kit import BackendDown, BadInput, NotFound, Reply, Role, ServerSettings

PAGE = (Path(__file__).parents[2] / "docs" / "kit.md").read_text(encoding="utf-8")


@pytest.fixture
def fish(tmp_path: Path) -> Client:
    """A client of the page's server, started as the page says."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "fish.py").write_text(code)
    flags = ["--evidence-dir", str(tmp_path / "evidence"), "--angler", "Ada"]
    return Client(StdioServerParameters(command=sys.executable, args=[str(tmp_path / "fish.py"), *flags]))


async def told(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    return (await client.call_tool(tool, arguments)).structured_content or {}


async def test_the_server_of_the_docs_does_what_the_docs_say(fish: Client) -> None:
    with anyio.fail_after(60):
        async with fish as client:
            tools = (await client.list_tools()).tools
            survey = await told(client, "survey_ponds")
            check = await told(client, "check_ponds")
            lost = await client.call_tool("search_catch", {"pond": "east"})
            pages = [await told(client, "search_catch", pond="north")]
            while cursor := pages[-1].get("next_cursor"):
                pages.append(await told(client, "search_catch", pond="north", cursor=cursor))
    assert {(tool.meta or {})["midwatch/role"] for tool in tools} == {"discover", "survey", "drill_down", "check"}
    assert "\n".join(survey["lines"]) in PAGE
    assert check["lines"] == ["ok   ponds: Ada fishes"]
    assert (lost.meta or {})["midwatch/error"] == "not_found"
    assert [line for page in pages for line in page["lines"]] == [f"fish {n} in the north pond" for n in range(1000)]


def test_every_setting_role_reply_field_and_error_code_is_on_the_page() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    codes = {error.code for error in (BackendDown, BadInput, NotFound)}
    assert {*ServerSettings.model_fields, *Role, *Reply.model_fields, *codes, "internal", "timed_out"} <= named
