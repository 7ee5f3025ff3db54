"""What the tests of the claude reasoner share: a model behind a scripted service."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anthropic
import pytest
from tests.claude.messages_api import KEY, MessagesApi, Player, serving

from midwatch.claude.model import Model
from midwatch.claude.prices import LISTED
from midwatch.journal import Journal
from midwatch.records import Incident, Severity, Status

Played = Callable[..., AbstractAsyncContextManager[tuple[Model, MessagesApi]]]


@pytest.fixture
def played() -> Played:
    """Return a function that gives a model whom a player plays, and the service between them."""

    @asynccontextmanager
    async def connect(
        player: Player, *, key: str = KEY, seconds: float = 20.0, url: str = ""
    ) -> AsyncIterator[tuple[Model, MessagesApi]]:
        with serving(player) as (served, api):
            async with anthropic.AsyncAnthropic(base_url=url or served, api_key=key) as client:
                yield Model(client, "claude-sonnet-5-5", LISTED["claude-sonnet-5-5"], seconds), api

    return connect


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def incident() -> Incident:
    at = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
    return Incident(
        id="01INCIDENT",
        title="Error rate of gateway",
        status=Status.INVESTIGATING,
        severity=Severity.HIGH,
        service="service:gateway",
        started_at=at,
        first_seen=at,
    )
