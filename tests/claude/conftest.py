"""What the tests of the claude reasoner share: a model behind a scripted service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
import pytest
from tests.claude.investigating import Played, investigate  # noqa: F401 - a fixture, for the tests of this folder
from tests.claude.messages_api import KEY, MessagesApi, Player, serving
from tests.host.conftest import incident, journal, reach  # noqa: F401 - fixtures, for the tests of this folder

from midwatch.claude.model import Model
from midwatch.claude.prices import LISTED


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
