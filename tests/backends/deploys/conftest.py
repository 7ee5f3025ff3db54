"""A deploys server with whatever backends its settings turn on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mcp import Client
from tests.backends.fakes.awsapi import KEY

from midwatch_deploys.server import build
from midwatch_deploys.settings import DeploysSettings

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that the fake of AWS accepts, and nothing of whoever runs the tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def deploys(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a deploys server with the settings that it is given."""

    def connect(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(DeploysSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return connect
