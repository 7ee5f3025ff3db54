"""compose.yaml and the files that it mounts: good by their schema, by their own programs, and by our own settings.

That our own containers run is what `test_images` shows.

The Collector's, Loki's, Tempo's and Grafana's programs cannot be had from the registries that the tests use, so of
their files no more is looked at than that they are YAML.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft7Validator
from publish.describe import settings_class
from tests.backends.debian import program
from tests.brought import CACHE

from midwatch.mcp_client.servers import server_specs
from midwatch.settings import Settings
from midwatch_byo.mapping import load_mapping
from robots.__main__ import parser

ROOT = Path(__file__).parents[2]
FILES = ROOT / "examples" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = ("logs", "metrics", "traces", "deploys", "byo")
TOKEN = "0123456789abcdef0123456789abcdef"


def environment(service: str) -> dict[str, str]:
    """What a container of a service finds in its environment, once the one variable that compose asks for is set."""
    told: dict[str, str] = COMPOSE["services"][service].get("environment", {})
    return {name: re.sub(r"\$\{MIDWATCH_TOKEN[^}]*\}", TOKEN, value) for name, value in told.items()}


def program_of(service: str) -> list[str]:
    """What a container runs in the end, word by word, and not the shell that may come before."""
    told: list[str] = COMPOSE["services"][service]["command"]
    return shlex.split(told[2].partition("exec ")[2]) if told[:2] == ["sh", "-c"] else told


def checked(package: str, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [program(package, name), *arguments], cwd=FILES, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_compose_is_good_by_its_schema() -> None:
    program("docker-compose", "docker-compose")
    (schema,) = (CACHE / "docker-compose").rglob("compose_spec.json")
    faults = Draft7Validator(json.loads(schema.read_text(encoding="utf-8"))).iter_errors(COMPOSE)
    assert [f"{'.'.join(map(str, each.path))}: {each.message}" for each in faults] == []


def test_what_is_mounted_is_there_and_what_is_waited_for_is_a_service() -> None:
    for name, service in COMPOSE["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], (name, mount)
        assert set(service.get("depends_on", [])) <= COMPOSE["services"].keys(), name


def test_prometheus_takes_its_configuration() -> None:
    assert "SUCCESS" in checked("prometheus", "promtool", "check", "config", "prometheus.yml")


def test_the_alert_fires_when_gateway_fails_and_not_before() -> None:
    assert "SUCCESS" in checked("prometheus", "promtool", "test", "rules", "rules_test.yml")


def test_alertmanager_takes_its_configuration() -> None:
    assert "SUCCESS" in checked("prometheus-alertmanager", "amtool", "check-config", "alertmanager.yml")


@pytest.mark.parametrize("name", ["collector.yaml", "loki.yaml", "tempo.yaml", "grafana.yaml"])
def test_a_file_for_a_program_that_is_not_here_is_yaml_at_least(name: str) -> None:
    assert isinstance(yaml.safe_load((FILES / name).read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize("server", OURS)
def test_a_server_starts_with_what_its_container_is_told(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value.replace("/app/", f"{ROOT}/"))
    settings = settings_class(server)()
    assert (settings.transport, settings.host) == ("streamable-http", "0.0.0.0")
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOKEN
    assert f"{server}:8000" in settings.allowed_hosts


def test_the_host_reaches_every_server_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDWATCH_TOKEN", environment("host")["MIDWATCH_TOKEN"])
    file = ROOT / environment("host")["MIDWATCH_SERVERS_FILE"].removeprefix("/app/")
    found = server_specs(Settings(servers_file=file))
    assert {name: spec.url for name, spec in found.items()} == {name: f"http://{name}:8000/mcp" for name in OURS}
    assert {spec.headers["Authorization"] for spec in found.values()} == {f"Bearer {TOKEN}"}


def test_the_robots_take_their_command_line() -> None:
    program, *arguments = program_of("robots")
    told = parser().parse_args(arguments)
    assert (program, told.otlp_url, told.store_url) == ("robots", "http://collector:4318", "http://store:4318")


def test_the_robots_are_told_the_user_and_the_password_of_the_database() -> None:
    told = urlsplit(environment("robots")["ROBOTS_DATABASE_URL"])
    there = environment("postgres")
    assert (told.username, told.password) == (there["POSTGRES_USER"], there["POSTGRES_PASSWORD"])
    assert told.hostname in COMPOSE["services"]["robots"]["depends_on"]


def test_the_mapping_of_the_bucket_can_be_read() -> None:
    (source,) = load_mapping(FILES / "byo.yaml").sources
    assert (source.location, source.endpoint) == ("s3://logs/robots", "http://s3:8333")


def test_the_commands_of_our_own_containers_are_programs_that_the_image_has() -> None:
    for name, service in COMPOSE["services"].items():
        if "build" in service:
            assert shutil.which(program_of(name)[0], path=str(Path(sys.executable).parent)), name
