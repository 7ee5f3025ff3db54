"""Fixtures that the servers' tests share: a store with lines in it, and what a client does with replies."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mcp import Client

from midwatch_deploys.server import build as build_deploys
from midwatch_deploys.settings import DeploysSettings
from midwatch_logs.server import build as build_logs
from midwatch_logs.settings import LogSettings
from midwatch_store.writer import Writer

LogRow: TypeAlias = dict[str, Any]
LogClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="session")
def log_now() -> datetime:
    """The end of every log story, in the past, so that stories are the same at any time of day."""
    return datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.fixture
def log_row(log_now: datetime) -> Callable[..., LogRow]:
    """Returns a maker of log rows, `ago` seconds before the story's end."""

    def make(ago: float, body: str, *, severity: int = 9, service: str = "forge", **more: Any) -> LogRow:
        row = {
            "Timestamp": log_now - timedelta(seconds=ago),
            "ServiceName": service,
            "SeverityNumber": severity,
            "Body": body,
            "ResourceAttributes": {"service.instance.id": more.pop("instance", f"{service}-1")},
        }
        return {**row, **more}

    return make


@pytest.fixture
def log_store(tmp_path: Path) -> Callable[[Sequence[LogRow]], Path]:
    """Returns a writer of log rows into this test's store."""

    def write(rows: Sequence[LogRow]) -> Path:
        with Writer(tmp_path / "store") as writer:
            writer.append({"otel_logs": rows})
        return tmp_path / "store"

    return write


@pytest.fixture
def log_client(tmp_path: Path) -> LogClient:
    """Returns a maker of clients of a logs server over this test's store."""

    def connect(**settings: Any) -> AbstractAsyncContextManager[Client]:
        chosen = {"store": tmp_path / "store", "evidence_dir": tmp_path / "evidence", **settings}
        return Client(build_logs(LogSettings(**chosen)).build())

    return connect


ChangeClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def change_store(tmp_path: Path) -> Callable[..., None]:
    """Returns a writer of changes into this test's store, in the order given."""

    def write(*rows: dict[str, Any]) -> None:
        with Writer(tmp_path / "store") as writer:
            for row in rows:
                writer.append({"changes": [row]})

    return write


@pytest.fixture
def change_client(tmp_path: Path) -> ChangeClient:
    """Returns a maker of clients of a deploys server over this test's store."""

    def connect(**settings: Any) -> AbstractAsyncContextManager[Client]:
        chosen = {"store": tmp_path / "store", "evidence_dir": tmp_path / "evidence", **settings}
        return Client(build_deploys(DeploysSettings(**chosen)).build())

    return connect


@pytest.fixture(scope="session")
def suite_environment(tmp_path_factory: pytest.TempPathFactory, log_now: datetime) -> dict[str, str]:
    """What every server of the suite is started with: a store with one deploy in it, and a folder of logs."""
    folder = tmp_path_factory.mktemp("suite")
    with Writer(folder / "store") as writer:
        deploy = {"Timestamp": log_now, "ChangeId": "d-1", "Kind": "deploy", "ServiceName": "forge", "Version": "1"}
        writer.append({"changes": [deploy]})
    (folder / "logs").mkdir()
    mapping = {"sources": [{"name": "own", "location": f"file://{folder / 'logs'}", "format": "jsonl"}]}
    (folder / "mapping.yaml").write_text(json.dumps(mapping))
    return {
        "MIDWATCH_STORE": str(folder / "store"),
        "MIDWATCH_BYO_MAPPING": str(folder / "mapping.yaml"),
        "MIDWATCH_EVIDENCE_DIR": str(folder / "evidence"),
    }
