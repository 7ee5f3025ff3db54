"""All servers of the suite together: what a host or a person may rely on, whichever server they talk to."""

import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types

from midwatch_byo.settings import ByoSettings
from midwatch_cluster.settings import ClusterSettings
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import EvidenceServer, ServerSettings
from midwatch_logs.settings import LogSettings
from midwatch_metrics.settings import MetricsSettings
from midwatch_traces.settings import TracesSettings

SETTINGS: Mapping[str, type[ServerSettings]] = {
    "logs": LogSettings,
    "metrics": MetricsSettings,
    "traces": TracesSettings,
    "deploys": DeploysSettings,
    "byo": ByoSettings,
    "cluster": ClusterSettings,
}
SURVEY_ARGUMENTS = {"start", "end", "baseline_start", "baseline_end", "entities"}
DOCS = Path(__file__).parents[2] / "docs"

Suite = dict[str, Client]


def server_of(name: str, **settings: Any) -> EvidenceServer:
    build: Callable[[ServerSettings], EvidenceServer] = importlib.import_module(f"midwatch_{name}.server").build
    return build(SETTINGS[name](**settings))


def settings_of(name: str, environment: dict[str, str]) -> dict[str, Any]:
    """Return what one server of the suite is started with, every tool that there is included."""
    shared = {"evidence_dir": environment["MIDWATCH_EVIDENCE_DIR"]}
    if name == "byo":
        return {**shared, "mapping": environment["MIDWATCH_BYO_MAPPING"]}
    acting = {"enable_roll_back": True, "roll_back_url": "http://127.0.0.1:1/"} if name == "deploys" else {}
    return {**shared, **acting, "store": environment["MIDWATCH_STORE"]}


@pytest.fixture
async def suite(suite_environment: dict[str, str]) -> AsyncIterator[Suite]:
    """A client of each server, by the server's name."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                Client(server_of(name, **settings_of(name, suite_environment)).build())
            )
            for name in SETTINGS
        }


async def tools_of(suite: Suite) -> dict[str, list[types.Tool]]:
    return {name: (await client.list_tools()).tools for name, client in suite.items()}


def role(tool: types.Tool) -> str:
    return str((tool.meta or {})["midwatch/role"])


async def test_tool_names_are_unique_short_and_read_as_verb_noun(suite: Suite) -> None:
    names = [tool.name for tools in (await tools_of(suite)).values() for tool in tools]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name) or len(name) > 40] == []


async def test_every_server_discovers_surveys_drills_down_and_checks(suite: Suite) -> None:
    for name, tools in (await tools_of(suite)).items():
        counted = Counter(role(tool) for tool in tools)
        assert {"discover", "survey", "drill_down", "check"} <= counted.keys(), name
        assert (counted["discover"], counted["survey"], counted["check"]) == (1, 1, 1), name


async def test_every_tool_but_the_roll_back_only_reads(suite: Suite) -> None:
    tools = [tool for tools in (await tools_of(suite)).values() for tool in tools]
    hints = {tool.name: tool.annotations for tool in tools if tool.annotations}
    assert len(hints) == len(tools)
    assert [name for name, hint in hints.items() if not hint.read_only_hint] == ["roll_back"]
    assert [name for name, hint in hints.items() if hint.destructive_hint] == ["roll_back"]
    assert [tool.name for tool in tools if role(tool) == "act"] == ["roll_back"]


async def test_every_tool_has_a_title_a_description_and_a_schema_for_what_it_takes_and_gives(suite: Suite) -> None:
    for tool in (tool for tools in (await tools_of(suite)).values() for tool in tools):
        assert tool.title, tool.name
        assert tool.description, tool.name
        assert tool.input_schema["additionalProperties"] is False, tool.name
        assert set((tool.output_schema or {})["required"]) == {"matched", "truncated", "lines", "evidence"}, tool.name


async def test_every_survey_takes_the_same_arguments(suite: Suite) -> None:
    surveys = [t for tools in (await tools_of(suite)).values() for t in tools if role(t) == "survey"]
    assert {t.name: SURVEY_ARGUMENTS - set(t.input_schema["properties"]) for t in surveys} == {
        t.name: set() for t in surveys
    }


async def test_the_tool_lists_of_the_whole_suite_fit_in_6000_tokens(suite: Suite) -> None:
    """About four characters of JSON make a token."""
    lists = await tools_of(suite)
    sizes = {
        name: sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) + 1 for tool in tools)
        for name, tools in lists.items()
    }
    assert sum(sizes.values()) < 24_000, sizes


async def test_every_survey_of_an_hour_without_data_answers_without_an_error(suite: Suite) -> None:
    hour = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:00:00Z"}
    for name, tools in (await tools_of(suite)).items():
        [survey] = [tool.name for tool in tools if role(tool) == "survey"]
        result = await suite[name].call_tool(survey, hour)
        told = result.structured_content or {}
        assert not result.is_error, (name, result.content)
        assert told["window"] == "2026-11-01T00:00:00Z/2026-11-01T01:00:00Z"
        assert told["hint"], name


@pytest.mark.parametrize("name", ["logs", "metrics", "traces", "deploys", "cluster"])
async def test_without_a_store_the_check_says_what_to_do_and_the_survey_is_an_error_in_words(
    tmp_path: Path, name: str
) -> None:
    server = server_of(name, store=tmp_path / "nowhere", evidence_dir=tmp_path / "evidence")
    async with Client(server.build()) as client:
        tools = {role(tool): tool.name for tool in (await client.list_tools()).tools}
        check = await client.call_tool(tools["check"], {})
        survey = await client.call_tool(tools["survey"], {})
    assert not check.is_error
    assert any("midwatch-store serve" in line for line in (check.structured_content or {})["lines"])
    assert (survey.meta or {})["midwatch/error"] == "backend_down"
    assert "midwatch-store serve" in str(survey.content)


async def test_every_tool_and_every_setting_of_a_server_is_in_its_docs(suite: Suite) -> None:
    for name, tools in (await tools_of(suite)).items():
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        own = SETTINGS[name].model_fields.keys() - ServerSettings.model_fields.keys()
        assert [tool.name for tool in tools if f"`{tool.name}`" not in page] == [], name
        assert [field for field in own if not re.search(rf"`MIDWATCH_(\w+_)?{field.upper()}`", page)] == [], name


def test_servers_know_neither_the_host_nor_each_other_nor_what_only_writers_need() -> None:
    code = """
import importlib, sys
for name in sys.argv[1:]:
    before = set(sys.modules)
    importlib.import_module(f"midwatch_{name}.server")
    print(name, *sorted({module.split(".")[0] for module in set(sys.modules) - before}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *SETTINGS], capture_output=True, text=True, timeout=60, check=True
    )
    for line in done.stdout.splitlines():
        name, *loaded = line.split()
        others = {f"midwatch_{other}" for other in SETTINGS if other != name}
        assert not {"midwatch", "midwatch_topology", "pyarrow", "boto3", "kubernetes", *others} & set(loaded), line
