"""Which windows are compared: they follow from when the symptom began, as far as that can be."""

from __future__ import annotations

import io
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from midwatch.approvals import AtTheTerminal
from midwatch.investigation import begin
from midwatch.records import Incident, Scope
from midwatch.settings import ServerSpec, Settings
from midwatch_kit.window import rfc3339

if TYPE_CHECKING:
    from tests.host.conftest import Reach

    from midwatch.journal import Journal

SERVER = Path(__file__).parent / "onset_server.py"
SETTINGS = Settings(gather_seconds=60, lookback_seconds=900)


async def scope_of(incident: Incident, reach: Reach, journal: Journal, onset: datetime, near: datetime) -> Scope:
    """Return the scope where a server sees the symptom begin at `onset`, in windows that start at `near` or later."""
    spec = ServerSpec(command=sys.executable, args=["-S", str(SERVER), rfc3339(onset), rfc3339(near)], suite=True)
    journal.note(incident.id, "incident", "1", incident)
    async with reach(told=spec) as host:
        asked = AtTheTerminal(Console(file=io.StringIO()))
        await begin(incident, SETTINGS, journal, host.eyes, host.hands, (), asked).run()
    (scope,) = journal.values(incident.id, Scope)
    return scope


async def test_the_window_begins_just_before_the_symptom_does(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    began, ever = incident.started_at - timedelta(seconds=100), incident.started_at - timedelta(days=1)
    scope = await scope_of(incident, reach, journal, began, ever)
    assert scope.onset == began
    assert timedelta(0) < began - scope.window.start < timedelta(seconds=10)
    assert scope.window.end == incident.first_seen + timedelta(seconds=60)


async def test_a_symptom_that_shows_only_close_to_the_alert_is_found_in_the_second_look(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    began, close = incident.started_at - timedelta(seconds=20), incident.started_at - timedelta(seconds=240)
    scope = await scope_of(incident, reach, journal, began, close)
    assert scope.onset == began
    assert close <= scope.window.start < began


async def test_what_began_once_the_alert_was_there_did_not_set_it_off(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    later, ever = incident.first_seen + timedelta(seconds=30), incident.started_at - timedelta(days=1)
    scope = await scope_of(incident, reach, journal, later, ever)
    assert scope.onset is None
    assert scope.window.start < incident.started_at - timedelta(seconds=100)
