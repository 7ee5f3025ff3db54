"""Which windows are compared: they follow from when the symptom began, as far as that can be."""

from __future__ import annotations

import io
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from midwatch.investigation import begin
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.records import Incident, Scope
from midwatch.scoping import watched
from midwatch.settings import ServerSpec, Settings
from midwatch_kit.window import rfc3339

if TYPE_CHECKING:
    from tests.host.conftest import Reach

    from midwatch.storage.journal import Journal

SERVER = Path(__file__).parent / "onset_server.py"
SETTINGS = Settings(gather_seconds=60, lookback_seconds=900)


async def scope_of(
    incident: Incident, reach: Reach, journal: Journal, onset: datetime, near: datetime, *direction: str
) -> Scope:
    """Return the scope where a server sees the symptom begin at `onset`, in windows that start at `near` or later.

    With a `direction`, nothing clearly shifts: latency goes a little up or down then.
    """
    told = [rfc3339(onset), rfc3339(near), *direction]
    spec = ServerSpec(command=sys.executable, args=["-S", str(SERVER), *told], suite=True)
    journal.note(incident.id, "incident", "1", incident)
    async with reach(told=spec) as host:
        asked = AtTheTerminal(Console(file=io.StringIO()))
        await begin(incident, SETTINGS, journal, host.eyes, host.hands, (), asked).run()
    (scope,) = journal.values(incident.id, Scope)
    return scope


@pytest.mark.parametrize(
    ("ago", "near", "wait"),
    [
        pytest.param(100, 86_400, 10, id="the first look shows it"),
        pytest.param(20, 240, 220, id="only the second look shows it, which is closer to the alert"),
    ],
)
async def test_the_window_begins_before_the_symptom_does(
    reach: Reach, journal: Journal, incident: Incident, ago: int, near: int, wait: int
) -> None:
    began, seen_from = (incident.started_at - timedelta(seconds=seconds) for seconds in (ago, near))
    scope = await scope_of(incident, reach, journal, began, seen_from)
    assert scope.onset == began
    assert timedelta(0) < began - scope.window.start < timedelta(seconds=wait)
    assert scope.window.end == incident.first_seen + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("title", "figures"),
    [
        ("checkout: requests a second above 29", ("request_rate",)),
        ("Requests/s of api below 3", ("request_rate",)),
        ("high QPS at the gateway", ("request_rate",)),
        ("RequestRate of checkout", ("request_rate",)),
        ("5xx of checkout", ("error_rate",)),
        ("p95 latency of checkout above 3 s", ("latency_p95",)),
        ("checkout is odd", ("error_rate", "latency_p95", "request_rate")),
    ],
)
def test_the_figures_that_are_watched_are_those_that_the_alert_speaks_of(
    incident: Incident, title: str, figures: tuple[str, ...]
) -> None:
    assert watched(incident.model_copy(update={"title": title, "symptoms": ()})) == figures


async def test_what_began_once_the_alert_was_there_did_not_set_it_off(
    reach: Reach, journal: Journal, incident: Incident
) -> None:
    later, ever = incident.first_seen + timedelta(seconds=30), incident.started_at - timedelta(days=1)
    scope = await scope_of(incident, reach, journal, later, ever)
    assert scope.onset is None
    assert scope.window.start < incident.started_at - timedelta(seconds=100)


@pytest.mark.parametrize(("direction", "ago"), [("up", 30), ("down", 225)])
async def test_where_nothing_clearly_shifts_the_window_begins_where_it_got_a_little_worse_not_where_it_got_better(
    reach: Reach, journal: Journal, incident: Incident, direction: str, ago: int
) -> None:
    turned, ever = incident.started_at - timedelta(seconds=30), incident.started_at - timedelta(days=1)
    odd = incident.model_copy(update={"title": "gateway misbehaves"})
    scope = await scope_of(odd, reach, journal, turned, ever, direction)
    assert scope.onset is None
    assert scope.window.start == incident.started_at - timedelta(seconds=ago + 1)
