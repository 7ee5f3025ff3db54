"""Whole investigations of the case with somebody who plays the model."""

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console
from tests.claude.messages_api import Fails, MessagesApi, Player
from tests.host.conftest import Reach

from midwatch.claude.model import Model
from midwatch.claude.models import Models
from midwatch.investigation import begin
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Incident, Report
from midwatch.settings import ServerSpec, Settings
from midwatch.steering.files import Steering
from midwatch.storage.audit import audit
from midwatch.storage.journal import Journal

CASE: Final = Path(__file__).parents[1] / "host" / "case_server.py"
SETTINGS: Final = Settings(gather_seconds=0, subagent_seconds=5, call_seconds=5, model_task_seconds=20)
Investigate = Callable[..., Any]
Played = Callable[..., AbstractAsyncContextManager[tuple[Model, MessagesApi]]]


@pytest.fixture
def investigate(reach: Reach, incident: Incident, played: Played) -> Investigate:
    """Return a function that investigates the case with a player as the model; gives the report and the service."""

    async def run(
        play: Player | None,
        journal: Journal,
        *,
        why_not: str = "",
        settings: Settings = SETTINGS,
        steering: Sequence[Steering] = (),
        runbook: str = "",
        **servers: Any,
    ) -> tuple[Report, MessagesApi]:
        about = incident.model_copy(update={"runbook": runbook})
        case = ServerSpec(command=sys.executable, args=["-S", str(CASE)], suite=True)
        journal.note(incident.id, "incident", "1", about)
        async with (
            reach(case=case, **servers) as host,
            played(play or (lambda _: Fails(500)), seconds=10) as (model, api),
        ):
            models = Models(why_not=why_not) if why_not else Models(model, model)
            asked = AtTheTerminal(Console(file=io.StringIO()))
            given = models if play or why_not else None
            begun = begin(about, settings, journal, host.eyes, host.hands, steering, asked, given)
            done = await begun.run()
            assert audit(incident.id, journal, host.eyes.kept).faults == ()
        return done, api

    return run
