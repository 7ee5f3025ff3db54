"""Servers that keep the contract are told so: the suite's own six, each over the smallest of stores."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.conformance.conftest import marked
from tests.e2e.story import Story

from midwatch.conformance import Mark, check_server
from midwatch_store.events import object_rows
from midwatch_store.writer import Writer

if TYPE_CHECKING:
    from tests.conformance.conftest import MakePlan, Serve

SETTINGS = {
    "logs": "LogSettings",
    "metrics": "MetricsSettings",
    "traces": "TracesSettings",
    "deploys": "DeploysSettings",
    "byo": "ByoSettings",
    "cluster": "ClusterSettings",
}
SECRETS = "secrets are not told"
PAGES = "drill-downs page to the end"
CURSOR = "a damaged cursor is refused"
UNTRIED = {
    "logs": {SECRETS},
    "metrics": {SECRETS, PAGES},
    "traces": {SECRETS},
    "deploys": {SECRETS, PAGES, CURSOR},
    "byo": {SECRETS},
    "cluster": {SECRETS},
}
KNOWN = {
    "metrics": {"name": "process.cpu.utilization"},
    "deploys": {"change_id": "web-v7"},
    "cluster": {"kind": "Service"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with some seconds of a small shop in it, and its logs as files as well."""
    made = tmp_path_factory.mktemp("smallest")
    story = Story(per_second=2, broken=lambda at: at >= 18)
    story.write(made / "store", 30)
    with Writer(made / "store") as writer:
        writer.append(object_rows(objects(story.time(0)), 0).rows)
    (made / "lines").mkdir()
    lines = [
        json.dumps({"time": story.time(second), "service": "web", "message": f"line {second}"}) for second in range(30)
    ]
    (made / "lines" / "web.jsonl").write_text("\n".join(lines))
    source = {"name": "own", "location": f"file://{made / 'lines'}", "format": "jsonl"}
    (made / "mapping.yaml").write_text(json.dumps({"sources": [source]}))
    return made


def objects(at: Any) -> list[dict[str, Any]]:
    """Return a cluster as a recorder lists it: two workloads, and more Services than a page has, one of them astray."""
    heads = [{"kind": f"{kind}List", "metadata": {}} for kind in ("Service", "Deployment", "Pod")]
    labels = {"description": "one of the many services of a small shop"}
    services: list[dict[str, Any]] = [
        {"kind": "Deployment", "metadata": {"namespace": "shop", "name": name}, "spec": {}} for name in ("web", "stock")
    ]
    services += [
        {"kind": "Service", "metadata": {"namespace": "shop", "name": f"web-{n}", "labels": labels}} for n in range(200)
    ]
    services[-1]["spec"] = {"selector": {"app": "nobody"}}
    return [
        {"timestamp": str(at), "event": "listed", "object": {"apiVersion": "v1", **each}} for each in heads + services
    ]


def settings_of(name: str, folder: Path) -> Any:
    shape = getattr(importlib.import_module(f"midwatch_{name}.settings"), SETTINGS[name])
    where = {"mapping": folder / "mapping.yaml"} if name == "byo" else {"store": folder / "store"}
    return shape(**where, evidence_dir=folder / "evidence")


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_server_of_the_suite_keeps_the_contract(
    serve: Serve, make_plan: MakePlan, folder: Path, name: str
) -> None:
    build = importlib.import_module(f"midwatch_{name}.server").build
    async with serve(build(settings_of(name, folder)).build()) as spec:
        report = await check_server(spec, make_plan(arguments=KNOWN.get(name, {})))
    assert marked(report, Mark.BROKEN) == {}
    assert marked(report, Mark.UNTRIED).keys() == UNTRIED[name]
    assert report.kept
    assert marked(report, Mark.KEPT)["eras of the protocol"] == "2025-11-25 and 2026-07-28"
    assert len(report.pins) == 5
