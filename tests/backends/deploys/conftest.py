"""A deploys server with whatever backends its settings turn on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mcp import Client

from midwatch_deploys.server import build
from midwatch_deploys.settings import DeploysSettings

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def deploys(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a deploys server with the settings that it is given."""

    def connect(**settings: Any) -> AbstractAsyncContextManager[Client]:
        return Client(build(DeploysSettings(evidence_dir=tmp_path / "evidence", **settings)).build())

    return connect
