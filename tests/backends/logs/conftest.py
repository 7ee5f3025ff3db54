"""Backends of the logs server with the same story in each, behind the real server over MCP."""

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mcp import Client
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.logs.story import StoryLine, tell
from tests.backends.serving import served

from midwatch_logs.server import build
from midwatch_logs.settings import LogSettings
from midwatch_store.writer import Writer

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]
Settings: TypeAlias = dict[str, Any]


def loki_entry(line: StoryLine) -> Entry:
    """A line as Loki keeps it after OTLP: few labels on streams, the rest as structured metadata."""
    metadata = {"service_instance_id": line.instance, "detected_level": line.level.lower(), "trace_id": line.trace}
    return Entry(line.ns, line.body, {"service_name": line.service, "deployment_environment": "prod"}, metadata)


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
        starts = {
            "loki": lambda: {
                "loki_url": stack.enter_context(served(FakeLoki([loki_entry(line) for line in tell()]).app))[0]
            },
        }

        def settings(name: str) -> Settings:
            if name not in running:
                running[name] = starts[name]()
            return running[name]

        yield settings


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a logs server with these settings."""

    def connecting(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(LogSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return connecting
