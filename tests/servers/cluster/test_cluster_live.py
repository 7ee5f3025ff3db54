"""A live cluster, over a real socket: an API server that lists, pages and refuses as Kubernetes' does.

Shapes: https://kubernetes.io/docs/reference/using-api/api-concepts/ (lists, chunks, partial metadata).
"""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from mcp import Client
from tests.servers.cluster.objects import Object, deployment, node, pod, service, starting_pod, thing

from midwatch_cluster.live import PATHS, LiveCluster
from midwatch_cluster.record import entries
from midwatch_cluster.server import build
from midwatch_cluster.settings import ClusterSettings
from midwatch_kit import BackendDown
from midwatch_store.events import object_rows

TOKEN = "t0p-s3cret-token"
NOW = datetime.now(UTC)


class Api:
    """What a cluster holds, whom it refuses, and how it was asked."""

    def __init__(self, things: list[Object], refuses: tuple[str, ...] = ()) -> None:
        self.things = things
        self.refuses = refuses
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []

    def answer(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the status and the document for a request."""
        self.asked.append((method, url, headers))
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"kind": "Status", "reason": "Unauthorized"}
        if path == "/version":
            return 200, {"gitVersion": "v1.34.1"}
        kind = next((kind for kind, (group, plural) in PATHS.items() if path == f"{group}/{plural}"), None)
        if kind in (None, "ComponentStatus", "PodMetrics", "NodeMetrics"):
            return 404, {"kind": "Status", "reason": "NotFound"}
        if kind in self.refuses:
            return 403, {"kind": "Status", "reason": "Forbidden", "message": f"cannot list {path}"}
        return 200, self._list(kind, query, headers)

    def _list(self, kind: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> dict[str, Any]:
        begin = int(query.get("continue", ["0"])[0])
        found = [each for each in self.things if each["kind"] == kind]
        if "PartialObjectMetadataList" in headers.get("Accept", ""):
            found = [{"metadata": each["metadata"]} for each in found]
        more = {"continue": str(begin + 1)} if begin + 1 < len(found) else {}  # one a page, to have pages
        items = [{name: part for name, part in each.items() if name != "kind"} for each in found[begin : begin + 1]]
        return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": more, "items": items}


@contextmanager
def served(api: Api) -> Generator[str]:
    """Serve the API on a socket while the block runs; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = api.answer(
                "GET", self.path, {name.title(): value for name, value in self.headers.items()}
            )
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def settings(folder: Path, url: str) -> ClusterSettings:
    """Return the settings of a server that reads a cluster by a kubeconfig."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "reader", "user": {"token": TOKEN}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "reader"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return ClusterSettings(cluster="live", kubeconfig=folder / "kubeconfig", evidence_dir=folder / "evidence")


async def test_a_live_cluster_is_surveyed_by_reading_lists_alone(tmp_path: Path) -> None:
    api = Api([*deployment("bot"), service("bot"), node(), starting_pod("bot", "InvalidImageName"), pod("forge")])
    with served(api) as url:
        async with Client(build(settings(tmp_path, url)).build()) as client:
            reply = (await client.call_tool("survey_cluster", {})).structured_content or {}
    assert [line for line in reply["lines"] if "image_not_found" in line]
    assert {method for method, _, _ in api.asked} == {"GET"}


def test_every_page_of_a_list_is_read(tmp_path: Path) -> None:
    with served(Api([service(f"s-{number}") for number in range(7)])) as url:
        state = LiveCluster(settings(tmp_path, url)).state(NOW)
    assert len(state.of("Service")) == 7


def test_of_a_secret_only_its_name_is_asked_for(tmp_path: Path) -> None:
    api = Api([thing("Secret", "keys", data={"password": "aHVudGVyMg=="})])
    with served(api) as url:
        state = LiveCluster(settings(tmp_path, url)).state(NOW)
    assert not state.lacks("Secret", "shop", "keys")
    [accept] = {headers["Accept"] for _, path, headers in api.asked if "/secrets" in path}
    assert accept.startswith("application/json;as=PartialObjectMetadataList")


def test_what_may_not_be_read_or_is_not_known_is_named_and_not_missing(tmp_path: Path) -> None:
    with served(Api([], refuses=("Secret", "Node"))) as url:
        live = LiveCluster(settings(tmp_path, url))
        state, checks = live.state(NOW), live.checks()
    assert set(state.unread) >= {"Secret", "Node", "PodMetrics"}
    assert not state.lacks("Secret", "shop", "keys")
    assert [(check.name, check.ok) for check in checks] == [("api", True), ("kinds", False), ("served", True)]


def test_an_api_that_is_away_is_told_without_the_token(tmp_path: Path) -> None:
    with served(Api([])) as url:
        gone = settings(tmp_path, url)
    with pytest.raises(BackendDown, match="cannot be reached") as caught:
        LiveCluster(gone).state(NOW)
    assert TOKEN not in str(caught.value)


def test_a_recording_begins_with_everything_and_goes_on_with_what_changed(tmp_path: Path) -> None:
    api = Api([versioned(pod("bot"), 1), versioned(service("bot"), 1)])
    with served(api) as url:
        live = LiveCluster(settings(tmp_path, url).model_copy(update={"cluster_max_age_seconds": 0}))
        first = live.state(NOW)
        api.things = [versioned(pod("bot"), 2), versioned(service("forge"), 1)]
        second = live.state(NOW)
    everything = list(entries(first, None))
    assert {each["event"] for each in everything} == {"listed"}
    assert "PodList" in {each["object"]["kind"] for each in everything}
    told = {(each["event"], each["object"]["metadata"]["name"]) for each in entries(second, first)}
    assert told == {("modified", "bot-7d-x"), ("added", "forge"), ("deleted", "bot")}
    assert not object_rows([*everything, *entries(second, first)], 0).rejected


def versioned(thing_: Object, version: int) -> Object:
    return {**thing_, "metadata": {**thing_["metadata"], "resourceVersion": str(version)}}
