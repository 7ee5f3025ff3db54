"""Settings: which servers there are and how they are started, and what is said of those that cannot be."""

import json
import sys
from pathlib import Path

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.errors import BadSettings
from midwatch.mcp_client.servers import server_specs
from midwatch.settings import ServerSpec, Settings


def specs(folder: Path, content: JsonValue | bytes) -> dict[str, ServerSpec]:
    file = folder / "servers.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return server_specs(Settings(servers_file=file))


def test_a_servers_file_has_the_shape_of_claude_desktops(tmp_path: Path) -> None:
    desktop: JsonValue = {
        "globalShortcut": "",
        "mcpServers": {
            "logs": {"command": "uvx", "args": ["midwatch-logs"], "env": {"MIDWATCH_STORE": "/data"}, "type": "stdio"},
            "remote": {"url": "https://example.com/mcp", "headers": {"Authorization": "Bearer s3cret"}},
        },
    }
    found = specs(tmp_path, desktop)
    assert (found["logs"].command, found["logs"].args) == ("uvx", ["midwatch-logs"])
    assert found["logs"].env == {"MIDWATCH_STORE": "/data"}
    assert found["remote"].headers == {"Authorization": "Bearer s3cret"}


def test_a_variable_of_the_environment_stands_in_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGS_TOKEN", "s3cret")
    headers: JsonValue = {"Authorization": "Bearer ${LOGS_TOKEN}", "X-Price": "$5 {x} ${}"}
    found = specs(tmp_path, {"mcpServers": {"logs": {"url": "https://logs.example/mcp", "headers": headers}}})
    assert found["logs"].headers == {"Authorization": "Bearer s3cret", "X-Price": "$5 {x} ${}"}


def test_a_variable_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOGS_TOKEN", raising=False)
    headers: JsonValue = {"Authorization": "Bearer ${LOGS_TOKEN}"}
    with pytest.raises(BadSettings, match="they name LOGS_TOKEN, which the environment does not have"):
        specs(tmp_path, {"mcpServers": {"logs": {"url": "https://logs.example/mcp", "headers": headers}}})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "Input should be"),
        ({}, "mcpServers: Field required"),
        ({"mcpServers": []}, "mcpServers: "),
        ({"mcpServers": {"logs": {}}}, "mcpServers.logs: Value error, a server needs either a command or a url"),
        ({"mcpServers": {"logs": {"command": "a", "url": "http://b"}}}, "either a command or a url"),
        ({"mcpServers": {"logs": {"command": "a", "args": "b"}}}, "mcpServers.logs.args: "),
        (b"not json", "Invalid JSON"),
        (b"\xff\xfe", "cannot"),
    ],
)
def test_a_servers_file_that_cannot_be_used_is_named_with_the_fault(
    tmp_path: Path, content: JsonValue | bytes, said: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        specs(tmp_path, content)
    assert str(tmp_path / "servers.json") in str(caught.value)
    assert said in str(caught.value)


def test_a_servers_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no-such-file"):
        server_specs(Settings(servers_file=tmp_path / "no-such-file"))


def test_without_a_servers_file_the_suites_own_servers_read_the_store(tmp_path: Path) -> None:
    found = server_specs(Settings(store=tmp_path))
    assert set(found) == {"logs", "metrics", "traces", "deploys"}
    assert {spec.command for spec in found.values()} == {sys.executable}
    assert {spec.env["MIDWATCH_STORE"] for spec in found.values()} == {str(tmp_path)}


def test_the_byo_server_comes_with_a_mapping(tmp_path: Path) -> None:
    found = server_specs(Settings(byo_mapping=tmp_path / "mapping.yaml"))
    assert found["byo"].env["MIDWATCH_BYO_MAPPING"] == str(tmp_path / "mapping.yaml")


def test_the_cluster_server_comes_with_a_store_that_holds_objects_of_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    assert "cluster" not in server_specs(Settings(store=tmp_path))
    (tmp_path / "objects" / "2026-11-20").mkdir()
    assert server_specs(Settings(store=tmp_path))["cluster"].env["MIDWATCH_CLUSTER"] == "store"
    assert "cluster" not in server_specs(Settings(store=tmp_path, cluster="off"))


def test_the_way_to_a_live_cluster_is_told_to_the_cluster_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_KUBE_CONTEXT", "shop-reader")
    found = server_specs(Settings(cluster="live"))
    assert found["cluster"].env["MIDWATCH_CLUSTER"] == "live"
    assert [name for name, spec in found.items() if "MIDWATCH_KUBE_CONTEXT" in spec.env] == ["cluster"]
    assert "MIDWATCH_KUBE_CONTEXT" not in server_specs(Settings(cluster="store"))["cluster"].env


def test_nothing_can_be_rolled_back_unless_it_is_said_where() -> None:
    assert "--enable-roll-back" not in server_specs(Settings())["deploys"].args
    deploys = server_specs(Settings(roll_back_url="http://127.0.0.1:1/roll-back"))["deploys"]
    assert "--enable-roll-back" in deploys.args
    assert deploys.env["MIDWATCH_ROLL_BACK_URL"] == "http://127.0.0.1:1/roll-back"


def test_a_server_gets_nothing_of_the_environment_but_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("TMPDIR", "/tmp")
    for spec in server_specs(Settings()).values():
        assert spec.env == {"TMPDIR": "/tmp"} | {k: v for k, v in spec.env.items() if k == "XDG_CACHE_HOME"}


def test_what_turns_a_backend_on_reaches_its_own_server_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_LOKI_TOKEN", "s3cret")
    monkeypatch.setenv("MIDWATCH_GITHUB_REPOSITORIES", '["shop/web"]')
    found = server_specs(Settings())
    assert [name for name, spec in found.items() if "MIDWATCH_LOKI_TOKEN" in spec.env] == ["logs"]
    assert [name for name, spec in found.items() if "MIDWATCH_GITHUB_REPOSITORIES" in spec.env] == ["deploys"]


def test_the_credentials_of_aws_reach_only_servers_that_ask_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("MIDWATCH_CLOUDWATCH_LOG_GROUPS", '["/aws/lambda/*"]')
    found = server_specs(Settings(byo_mapping=tmp_path / "mapping.yaml"))
    assert {name for name, spec in found.items() if "AWS_SECRET_ACCESS_KEY" in spec.env} == {"logs", "byo"}


def test_the_inventory_of_aws_brings_its_tags_and_credentials_to_the_server_of_changes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("MIDWATCH_AWS_OWNER_TAG", "team")
    monkeypatch.setenv("MIDWATCH_AWS_INVENTORY", "true")
    found = server_specs(Settings())
    for name in ("AWS_SECRET_ACCESS_KEY", "MIDWATCH_AWS_OWNER_TAG", "MIDWATCH_AWS_INVENTORY"):
        assert [server for server, spec in found.items() if name in spec.env] == ["deploys"]


def test_metrics_and_logs_of_cloudwatch_are_two_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("MIDWATCH_CLOUDWATCH_NAMESPACES", "AWS/Lambda")
    monkeypatch.setenv("MIDWATCH_CLOUDWATCH_COUNTERS", "log*")
    found = server_specs(Settings())
    assert [name for name, spec in found.items() if "AWS_SECRET_ACCESS_KEY" in spec.env] == ["metrics"]
    assert [name for name, spec in found.items() if "MIDWATCH_CLOUDWATCH_COUNTERS" in spec.env] == ["metrics"]


def test_x_ray_is_turned_on_by_a_word_and_gets_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("MIDWATCH_XRAY", "true")
    [traces] = [spec for spec in server_specs(Settings()).values() if "AWS_SECRET_ACCESS_KEY" in spec.env]
    assert traces.args == ["-m", "midwatch_traces"]
    assert traces.env["MIDWATCH_XRAY"] == "true"


def test_what_is_wrong_inside_of_a_setting_is_named_by_its_place() -> None:
    done = CliRunner().invoke(app, ["incidents"], env={"MIDWATCH_MODEL_PRICES": '{"own": {"input": 1}}'})
    assert done.exit_code == 1
    assert "MIDWATCH_MODEL_PRICES (own.output): it is missing" in done.output
