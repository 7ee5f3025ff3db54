"""What the cluster server answers, asked as a client asks, over a cluster that was recorded in a real store."""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types
from tests.servers.cluster.objects import (
    AT,
    Object,
    ago,
    container,
    deployment,
    event,
    node,
    pod,
    service,
    starting_pod,
    thing,
)

from midwatch_cluster.server import build
from midwatch_cluster.settings import ClusterSettings
from midwatch_kit import Observation, TopologyFragment
from midwatch_kit.evidence import broken_citations
from midwatch_store.events import object_rows
from midwatch_store.writer import Writer

WINDOW = {"start": ago(600), "end": ago(-1)}
SECRET = "hunter2"
KINDS = ("Pod", "Deployment", "ReplicaSet", "Service", "Node", "Event", "Secret", "ServiceAccount")


def recorded(
    folder: Path, seconds_ago: float, *things: Object, event_: str = "listed", kinds: Sequence[str] = ()
) -> None:
    """Record objects as of a moment: listed together with the heads of the lists, or as a watch tells them."""
    heads = [{"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}} for kind in kinds]
    rows = [
        {"timestamp": ago(seconds_ago), "event": event_, "object": {"apiVersion": "v1", **each}}
        for each in (*heads, *things)
    ]
    found = object_rows(rows, time.time_ns())
    assert not found.rejected, found.reason
    with Writer(folder / "store") as writer:
        writer.append(found.rows)


def client(folder: Path) -> Client:
    return Client(build(ClusterSettings(store=folder / "store", evidence_dir=folder / "evidence")).build())


async def told(asked: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await asked.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def document(asked: Client, found: dict[str, Any]) -> bytes:
    pages = [
        (await asked.read_resource(f"midwatch://evidence/{found['id']}/page/{n}")).contents[0]
        for n in range(found["pages"])
    ]
    return "".join(page.text for page in pages if isinstance(page, types.TextResourceContents)).encode()


async def observed(asked: Client, **arguments: Any) -> list[Observation]:
    """Return the survey's observations, each with citations that hold."""
    meta = (await asked.call_tool("survey_cluster", {**WINDOW, **arguments})).meta or {}
    stored = {meta["midwatch/evidence"]["id"]: await document(asked, meta["midwatch/evidence"])}
    records = json.loads(await document(asked, meta["midwatch/records"]))["observations"]
    seen = [Observation.model_validate(record) for record in records]
    assert not [fault for each in seen for fault in broken_citations(each, stored)]
    return seen


def broken() -> list[Object]:
    waits = starting_pod("bot", "ImagePullBackOff")
    failed = event(waits, "Failed", "registry.example/bot:2: not found")
    return [*deployment("bot"), service("bot"), node(), waits, failed]


def well() -> list[Object]:
    return [*deployment("bot"), service("bot"), node(), pod("bot")]


async def test_what_is_wrong_is_told_with_the_object_and_the_field_that_say_so(tmp_path: Path) -> None:
    recorded(tmp_path, 1, *broken(), kinds=KINDS)
    async with client(tmp_path) as asked:
        (seen,) = await observed(asked)
    assert (seen.entity, seen.kind, seen.subject) == ("service:bot", "mismatch", "image_not_found")
    assert seen.attributes["object"] == "Deployment shop/bot"
    assert "ImagePullBackOff" in [citation.quote for citation in seen.citations]


async def test_what_was_so_before_the_window_ranks_below_what_is_new(tmp_path: Path) -> None:
    astray = service("flagd", {"app": "flagd-2"})
    gateway = deployment("gateway", containers=[container(env=[{"name": "FLAGS", "value": "flagd:80"}])])
    recorded(tmp_path, 1200, *well(), *gateway, astray, kinds=KINDS)
    recorded(tmp_path, 1, *broken(), *gateway, astray, kinds=KINDS)
    async with client(tmp_path) as asked:
        seen = await observed(asked)
    assert [(each.subject, each.attributes.get("was_so_before")) for each in seen] == [
        ("image_not_found", None),
        ("service_selects_nothing", "true"),
    ]
    assert seen[0].score > seen[1].score


async def test_a_watch_brings_a_list_up_to_date(tmp_path: Path) -> None:
    recorded(tmp_path, 60, *broken(), kinds=KINDS)
    recorded(tmp_path, 30, pod("bot"), event_="modified")
    async with client(tmp_path) as asked:
        assert not await observed(asked)
        assert await observed(asked, end=ago(45), start=ago(600))
    recorded(tmp_path, 20, pod("bot"), event_="deleted")
    async with client(tmp_path) as asked:
        result = await asked.call_tool("get_objects", {"kind": "Pod", "name": "bot-7d-x", "namespace": "shop"})
        assert result.is_error


async def test_what_a_later_list_lacks_is_gone(tmp_path: Path) -> None:
    recorded(tmp_path, 60, *well(), service("old"), kinds=KINDS)
    recorded(tmp_path, 10, service("bot"), kinds=["Service"])
    async with client(tmp_path) as asked:
        reply = await told(asked, "get_objects", kind="Service", end=ago(0))
        pods = await told(asked, "get_objects", kind="Pod", end=ago(0))
    assert (reply["matched"], pods["matched"]) == (1, 1)


async def test_a_kind_that_was_never_listed_is_said_to_be_unknown_and_nothing_is_missing_of_it(tmp_path: Path) -> None:
    needs = deployment("bot", serviceAccountName="bot")
    recorded(tmp_path, 1, *needs, kinds=[kind for kind in KINDS if kind != "ServiceAccount"])
    async with client(tmp_path) as asked:
        reply = await told(asked, "survey_cluster", **WINDOW)
    assert reply["matched"] == 0
    assert "ServiceAccount" in reply["caveats"][0]


async def test_no_secret_is_shown_or_kept_as_evidence(tmp_path: Path) -> None:
    variables = [{"name": "DB_PASSWORD", "value": SECRET}, {"name": "DB", "value": f"mysql://bot:{SECRET}@db:3306/x"}]
    applied = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET}}
    careless = container(env=variables, args=[f"--db-password={SECRET}"])
    things = [
        thing("Secret", "keys", data={"password": SECRET}),
        thing("Pod", "careless", metadata=applied, spec={"containers": [careless]}),
        thing("ConfigMap", "settings", data={"api_key": SECRET, "mode": "fast"}),
    ]
    recorded(tmp_path, 1, *things, kinds=[*KINDS, "ConfigMap"])
    async with client(tmp_path) as asked:
        for kind, name in (("Secret", "keys"), ("Pod", "careless"), ("ConfigMap", "settings")):
            reply = await told(asked, "get_objects", kind=kind, name=name, namespace="shop", end=ago(0))
            assert SECRET not in json.dumps(reply)
            assert "(hidden)" in json.dumps(reply)
    assert not [path for path in (tmp_path / "evidence").rglob("*.json") if SECRET in path.read_text()]


async def test_the_map_ties_workloads_to_pods_nodes_services_and_what_they_call(tmp_path: Path) -> None:
    gateway = deployment("gateway", containers=[container(env=[{"name": "BOT", "value": "http://bot:80"}])])
    recorded(tmp_path, 1, *well(), *gateway, kinds=KINDS)
    async with client(tmp_path) as asked:
        meta = (await asked.call_tool("map_cluster", {"end": ago(0)})).meta or {}
        known = json.loads(await document(asked, meta["midwatch/records"]))["fragment"]
    fragment = TopologyFragment.model_validate(known)
    ties = {(tie.source, tie.kind, tie.target) for tie in fragment.relations}
    assert ties >= {
        ("service:bot", "runs_on", "instance:bot-7d-x"),
        ("instance:bot-7d-x", "runs_on", "host:node-1"),
        ("service:gateway", "calls", "service:bot"),
    }
    assert {binding.signal for binding in fragment.bindings} == {"state"}


async def test_a_service_has_the_name_that_its_telemetry_has(tmp_path: Path) -> None:
    top, controller = deployment("bot")
    annotations = {"resource.opentelemetry.io/service.name": "robot-api"}
    top["spec"]["template"]["metadata"]["annotations"] = annotations
    recorded(tmp_path, 1, top, controller, starting_pod("bot", "ErrImagePull"), kinds=KINDS)
    async with client(tmp_path) as asked:
        assert [each.entity for each in await observed(asked, entities=["robot-api"])] == ["service:robot-api"]
        assert not await observed(asked, entities=["bot"])


async def test_events_of_an_entity_are_listed_oldest_first(tmp_path: Path) -> None:
    things = broken()
    first = event(things[4], "BackOff", "Back-off pulling image", 200)
    recorded(tmp_path, 1, *things, first, kinds=KINDS)
    async with client(tmp_path) as asked:
        reply = await told(asked, "list_cluster_events", **WINDOW, entity="service:bot")
        unknown = await asked.call_tool("list_cluster_events", {**WINDOW, "entity": "service:bots"})
    assert [("BackOff" in line, "Failed" in line) for line in reply["lines"]] == [(True, False), (False, True)]
    assert unknown.is_error


async def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    recorded(tmp_path, 1, *well(), kinds=KINDS)
    async with client(tmp_path) as asked:
        for tool, arguments in (("get_objects", {"kind": "Pod", "name": "no"}), ("get_objects", {"kind": "Gateway"})):
            result = await asked.call_tool(tool, {"end": ago(0), **arguments})
            [content] = result.content
            assert result.is_error
            assert isinstance(content, types.TextContent)
            assert "bot-7d-x" in content.text or "Deployment" in content.text


@pytest.mark.parametrize("there", [True, False])
async def test_the_check_says_what_is_on_record_or_what_to_do(tmp_path: Path, there: bool) -> None:
    if there:
        recorded(tmp_path, 1, *well(), kinds=KINDS)
    async with client(tmp_path) as asked:
        reply = await told(asked, "check_cluster")
    assert ("FAIL" in reply["lines"][0]) is not there
    assert there or "MIDWATCH_STORE" in reply["lines"][0]
    assert not there or "FAIL kinds: never recorded: ConfigMap, CronJob" in reply["lines"][-1]


async def test_an_object_is_shown_with_the_fields_that_problems_cite(tmp_path: Path) -> None:
    recorded(tmp_path, 1, *well(), kinds=KINDS)
    async with client(tmp_path) as asked:
        few = await told(asked, "get_objects", kind="Service", end=ago(0))
        one = await told(asked, "get_objects", kind="Service", name="bot", end=ago(0))
    assert [line.split()[:2] for line in few["lines"]] == [["object=Service", "shop/bot"]]
    assert "/spec/selector/app: bot" in one["lines"]


async def test_a_name_that_two_namespaces_have_needs_the_namespace(tmp_path: Path) -> None:
    recorded(tmp_path, 1, *well(), thing("Service", "bot", "test"), kinds=KINDS)
    async with client(tmp_path) as asked:
        both = await asked.call_tool("get_objects", {"kind": "Service", "name": "bot", "end": ago(0)})
        one = await told(asked, "get_objects", kind="Service", name="bot", namespace="test", end=ago(0))
    assert both.is_error
    assert "shop/bot, test/bot" in str(both.content)
    assert "/metadata/namespace: test" in one["lines"]


async def test_an_empty_store_says_that_nothing_is_on_record(tmp_path: Path) -> None:
    recorded(tmp_path, -timedelta(days=1).total_seconds(), *well(), kinds=KINDS)  # later than what is asked
    async with client(tmp_path) as asked:
        reply = await told(asked, "survey_cluster", start=ago(600), end=AT.isoformat())
    assert reply["matched"] == 0
    assert "check_cluster" in reply["hint"]
