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
from tests.backends.fakes.rbac import Rules, may_list, rules_in
from tests.servers.cluster.objects import Object, deployment, node, pod, service, starting_pod, thing

from midwatch_cluster.live import PATHS, LiveCluster
from midwatch_cluster.record import entries
from midwatch_cluster.server import build
from midwatch_cluster.settings import ClusterSettings
from midwatch_kit import BackendDown
from midwatch_store.events import object_rows

TOKEN = "t0p-s3cret-token"
NOW = datetime.now(UTC)
RBAC = Path(__file__).parents[3] / "docs" / "cluster-rbac.yaml"


class Api:
    """What a cluster holds, whom it refuses, and how it was asked."""

    def __init__(self, things: list[Object], refuses: tuple[str, ...] = (), only: str = "") -> None:
        self.things = things
        self.refuses = refuses
        self.only = f"/namespaces/{only}" if only else ""
        self.rules: Rules | None = None
        """What the account's role allows; everything without one."""
        self.trouble: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        """What the next requests for a kind are answered with, instead of its list."""
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []

    def answer(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the status and the document for a request."""
        self.asked.append((method, url, headers))
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"kind": "Status", "reason": "Unauthorized"}
        if path == "/version":
            return 200, {"gitVersion": "v1.34.1"}
        kind = next((k for k, (group, plural) in PATHS.items() if path in places(group, plural, self.only)), None)
        if kind in (None, "ComponentStatus", "PodMetrics", "NodeMetrics"):
            return 404, {"kind": "Status", "reason": "NotFound"}
        if self.trouble.get(kind):
            return self.trouble[kind].pop(0)
        if kind in self.refuses or self.only not in path or (self.rules is not None and not may_list(self.rules, path)):
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


def places(group: str, plural: str, only: str) -> tuple[str, str]:
    return f"{group}/{plural}", f"{group}{only}/{plural}"


@contextmanager
def served(api: Api, body: bytes | None = None) -> Generator[str]:
    """Serve the API on a socket while the block runs, or one page for everything; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = api.answer(
                "GET", self.path, {name.title(): value for name, value in self.headers.items()}
            )
            page = json.dumps(document).encode() if body is None else body
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

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
    assert state.unread["Secret"] == "the account may not list secrets"
    assert "Node (the account may not list nodes), Secret (the account may not list secrets)" in checks[1].detail
    assert "cluster-rbac.yaml" in checks[1].do
    assert [(check.name, check.ok) for check in checks] == [("api", True), ("kinds", False), ("served", True)]


def test_with_the_role_of_the_documentation_everything_is_read_and_without_it_nothing(tmp_path: Path) -> None:
    api = Api([pod("bot"), node(), thing("Secret", "keys")])
    role = api.rules = rules_in(RBAC)
    not_served = {"ComponentStatus", "PodMetrics", "NodeMetrics"}
    with served(api) as url:
        assert set(LiveCluster(settings(tmp_path, url)).state(NOW).unread) == not_served
        for rule in role:
            api.rules = [each for each in role if each is not rule]
            unread = LiveCluster(settings(tmp_path, url)).state(NOW).unread
            refused = {why.removeprefix("the account may not list ").partition(".")[0] for why in unread.values()}
            served_kinds = {name for name in rule["resources"] if rule["apiGroups"] != ["metrics.k8s.io"]}
            assert served_kinds - {"componentstatuses"} <= refused


def test_an_api_that_is_away_is_told_without_the_token(tmp_path: Path) -> None:
    with served(Api([])) as url:
        gone = settings(tmp_path, url)
    with pytest.raises(BackendDown, match="cannot be reached") as caught:
        LiveCluster(gone).state(NOW)
    assert TOKEN not in str(caught.value)


def test_a_list_that_expires_between_its_pages_is_begun_again(tmp_path: Path) -> None:
    api = Api([service("bot"), service("forge")])
    api.trouble["Service"] = [(200, {"metadata": {"continue": "1"}, "items": []}), (410, {"reason": "Expired"})]
    with served(api) as url:
        state = LiveCluster(settings(tmp_path, url)).state(NOW)
    assert len(state.of("Service")) == 2


def test_a_list_that_always_expires_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    api = Api([pod("bot")])
    api.trouble["Service"] = [(410, {"reason": "Expired"})] * 9
    with served(api) as url:
        state = LiveCluster(settings(tmp_path, url)).state(NOW)
    assert "410" in state.unread["Service"]
    assert state.of("Pod")


def test_credentials_that_are_not_accepted_are_told_and_read_again(tmp_path: Path) -> None:
    with served(Api([pod("bot")])) as url:
        chosen = settings(tmp_path, url)
        good = chosen.kubeconfig.read_text() if chosen.kubeconfig else ""
        (tmp_path / "kubeconfig").write_text(good.replace(TOKEN, "an-old-one"))
        live = LiveCluster(chosen)
        with pytest.raises(BackendDown, match="does not accept the credentials") as caught:
            live.state(NOW)
        (tmp_path / "kubeconfig").write_text(good)
        assert live.state(NOW).of("Pod")
    assert "an-old-one" not in str(caught.value)


def test_a_page_to_log_in_is_not_taken_for_the_api(tmp_path: Path) -> None:
    api = Api([])
    api.trouble["Namespace"] = [(200, {})]
    with (
        served(api, body=b"<html>please log in</html>") as url,
        pytest.raises(BackendDown, match="not answered as the Kubernetes API does"),
    ):
        LiveCluster(settings(tmp_path, url)).state(NOW)


def test_an_account_of_one_namespace_reads_that_one(tmp_path: Path) -> None:
    api = Api([pod("bot")], only="shop")
    with served(api) as url:
        chosen = settings(tmp_path, url).model_copy(update={"cluster_namespaces": ["shop"]})
        state = LiveCluster(chosen).state(NOW)
    assert [each["metadata"]["name"] for each in state.of("Pod")] == ["bot-7d-x"]
    assert state.unread["Node"] == "the account may not list nodes"


def test_the_way_through_a_proxy_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api([pod("bot")])
    with served(api) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "elsewhere.example")
        state = LiveCluster(settings(tmp_path, "http://cluster.example:6443")).state(NOW)
    assert state.of("Pod")
    assert {urlsplit(url).netloc for _, url, _ in api.asked} == {"cluster.example:6443"}


@pytest.mark.parametrize(
    ("content", "said"),
    [(f"users: [{{token: {TOKEN}", "is no YAML"), (f"token: {TOKEN}", "onfig"), (None, "onfig")],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_without_what_it_holds(
    tmp_path: Path, content: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = settings(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "kubeconfig").unlink()
    if content:
        (tmp_path / "kubeconfig").write_text(content)
    [check] = LiveCluster(chosen).checks()
    assert not check.ok
    assert said in check.detail
    assert TOKEN not in check.detail + caplog.text


def test_where_neither_a_kubeconfig_nor_a_pod_is_the_error_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    live = LiveCluster(ClusterSettings(cluster="live", evidence_dir=tmp_path / "evidence"))
    with pytest.raises(BackendDown, match="set MIDWATCH_KUBECONFIG"):
        live.state(NOW)


async def test_what_only_later_states_are_known_of_counts_as_new(tmp_path: Path) -> None:
    api = Api([*deployment("bot"), service("bot"), node(), starting_pod("bot", "InvalidImageName")])
    with served(api) as url:
        async with Client(build(settings(tmp_path, url)).build()) as client:
            reply = (await client.call_tool("survey_cluster", {})).structured_content or {}
    assert not [line for line in reply["lines"] if line.startswith("as before")]
    assert "No state before the window is known" in reply["hint"]


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
