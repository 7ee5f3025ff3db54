"""Backends of the logs server with the same story in each, behind the real server over MCP."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mcp import Client
from tests.backends.fakes.awsapi import KEY, aws
from tests.backends.fakes.cloudwatchlogs import FakeCloudWatchLogs
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.fakes.insights import Event
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.logs.story import StoryLine, tell
from tests.backends.serving import served

from midwatch_kit import BackendDown
from midwatch_kit.abandoned import giving_up
from midwatch_kit.logs import stamp
from midwatch_kit.parallel import Threads
from midwatch_logs.server import build
from midwatch_logs.settings import LogSettings
from midwatch_store.writer import Writer

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]
Settings: TypeAlias = dict[str, Any]


def loki_entry(line: StoryLine) -> Entry:
    """A line as Loki keeps it after OTLP: few labels on streams, the rest as structured metadata."""
    metadata = {"service_instance_id": line.instance, "detected_level": line.level.lower(), "trace_id": line.trace}
    return Entry(line.ns, line.body, {"service_name": line.service, "deployment_environment": "prod"}, metadata)


ECS = {
    "@timestamp": "date",
    "message": "match_only_text",
    "log.level": "keyword",
    "service.name": "keyword",
    "service.node.name": "keyword",
    "trace.id": "keyword",
    "error.type": "keyword",
    "error.message": "match_only_text",
}
OTEL = {
    "@timestamp": "date_nanos",
    "body.text": "match_only_text",
    "severity_text": "keyword",
    "resource.attributes.service.name": "keyword",
    "resource.attributes.service.instance.id": "keyword",
    "trace_id": "keyword",
}
OTEL_ALIASES = {
    "message": "body.text",
    "log.level": "severity_text",
    "service.name": "resource.attributes.service.name",
    "trace.id": "trace_id",
}
"""What Elasticsearch calls OpenTelemetry's fields as well, so that queries by ECS names find them."""


def ecs_document(line: StoryLine) -> dict[str, Any]:
    """A line in the Elastic Common Schema, nested."""
    return {
        "@timestamp": stamp(line.ns, 3),
        "message": line.body,
        "log": {"level": line.level.lower()},
        "service": {"name": line.service, "node": {"name": line.instance}},
        "trace": {"id": line.trace},
    }


def otel_document(line: StoryLine) -> dict[str, Any]:
    """A line as Elasticsearch's OpenTelemetry mode keeps it, dots in names and all."""
    return {
        "@timestamp": stamp(line.ns),
        "body": {"text": line.body},
        "severity_text": line.level,
        "resource": {"attributes": {"service.name": line.service, "service.instance.id": line.instance}},
        "trace_id": line.trace,
    }


def told_elasticsearch() -> FakeElasticsearch:
    """The story in the Elastic Common Schema."""
    return FakeElasticsearch({"logs-app-prod": [ecs_document(line) for line in tell()]}, ECS)


def told_elasticsearch_otel() -> FakeElasticsearch:
    """The story as OpenTelemetry lays it out."""
    return FakeElasticsearch({"logs-app.otel-prod": [otel_document(line) for line in tell()]}, OTEL, OTEL_ALIASES)


def told_elasticsearch_both() -> FakeElasticsearch:
    """The story half in one layout and half in the other, behind one pattern."""
    halves = {
        "logs-app-prod": [ecs_document(line) for line in tell()[::2]],
        "logs-app.otel-prod": [otel_document(line) for line in tell()[1::2]],
    }
    return FakeElasticsearch(halves, {**ECS, **OTEL})


def log_event(line: StoryLine) -> Event:
    """A line as a container writes it to CloudWatch Logs: JSON, in the stream of its task."""
    told = {"level": line.level, "message": line.body, "trace_id": line.trace}
    stream = f"ecs/{line.service}/{line.instance}"
    return Event(line.ns // 10**6, f"/ecs/{line.service}", stream, json.dumps(told, ensure_ascii=False))


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that the fake of AWS knows."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")


def store_row(line: StoryLine) -> dict[str, Any]:
    """A line as a row of the embedded store."""
    return {
        "Timestamp": line.time,
        "ServiceName": line.service,
        "SeverityNumber": line.severity,
        "Body": line.body,
        "TraceId": line.trace,
        "ResourceAttributes": {"service.instance.id": line.instance},
    }


@pytest.fixture(scope="session")
def told_store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a store that holds the story: what the others are compared with."""
    folder = tmp_path_factory.mktemp("told") / "store"
    with Writer(folder) as writer:
        writer.append({"otel_logs": [store_row(line) for line in tell()]})
    return {"store": folder}


@pytest.fixture(scope="session")
def told_backend() -> Generator[Callable[[str], Settings]]:
    """Returns the settings of a backend that holds the story; each is started once, when first asked for."""
    running: dict[str, Settings] = {}
    with ExitStack() as stack:

        def elasticsearch(fake: FakeElasticsearch) -> Settings:
            return {"elasticsearch_url": stack.enter_context(served(fake.app))[0]}

        def cloudwatch() -> Settings:
            fake = FakeCloudWatchLogs([log_event(line) for line in tell()])
            settings, _, _ = stack.enter_context(aws(fake.answers))
            return {**settings, "cloudwatch_log_groups": ["/ecs/*"]}

        def loki(fake: FakeLoki) -> Settings:
            return {"loki_url": stack.enter_context(served(fake.app))[0]}

        starts: dict[str, Callable[[], Settings]] = {
            "cloudwatch": cloudwatch,
            "elasticsearch": lambda: elasticsearch(told_elasticsearch()),
            "elasticsearch-otel": lambda: elasticsearch(told_elasticsearch_otel()),
            "loki": lambda: loki(FakeLoki([loki_entry(line) for line in tell()])),
        }

        def settings(name: str) -> Settings:
            if name not in running:
                running[name] = starts[name]()
            return running[name]

        yield settings


def give_up_on(ask: Callable[[], object], begun: threading.Event) -> None:
    """Ask as a tool does that is cancelled as soon as the backend's own query has begun."""
    with Threads(1) as threads:
        with giving_up():
            asked = threads.submit(ask)
            assert begun.wait(60)
        with pytest.raises(BackendDown, match="nobody waits for the answer"):
            asked.result(60)


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a logs server with these settings."""

    def connecting(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(LogSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return connecting
