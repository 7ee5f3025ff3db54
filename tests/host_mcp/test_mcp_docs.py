"""The page about `midwatch mcp`: its script runs as it stands, and it names what the server offers."""

import json
import re
import subprocess
import sys
from pathlib import Path

from mcp import Client
from tests.host_mcp.conftest import SEEN, case_environment, serving

PAGE = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")


def test_the_script_of_the_page_takes_an_incident_from_an_alert_to_its_packet(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "alert_to_packet.py").write_text(code)
    (tmp_path / "alert.json").write_text(json.dumps(SEEN))
    environment = case_environment(tmp_path)
    command = [sys.executable, "alert_to_packet.py", "alert.json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Root cause: change at service:forge" in done.stdout
    assert re.search(r"conclusion +root_cause", done.stderr)


def test_the_block_for_claude_desktop_is_json_that_starts_this_command() -> None:
    [block] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    spec = json.loads(block)["mcpServers"]["midwatch"]
    assert (Path(spec["command"]).name, spec["args"]) == ("midwatch", ["mcp"])


async def test_every_tool_resource_and_prompt_is_on_the_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        offered = await _offered(client)
    assert not [name for name in offered if f"`{name}`" not in PAGE and f"…/{name.rpartition('/')[2]}`" not in PAGE]


async def _offered(client: Client) -> list[str]:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
    resources = [str(resource.uri) for resource in (await client.list_resources()).resources]
    templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    return [*tools, *prompts, *resources, *templates]
