"""One process that investigates what is due: a few at once, the others wait in the journal."""

import logging
from collections import Counter
from datetime import timedelta
from itertools import islice

import anyio

from midwatch.errors import DatabaseDown
from midwatch.host import Host
from midwatch.records import Incident
from midwatch.storage.claim import claim
from midwatch.troubles import Trouble
from midwatch.work.investigating import investigate
from midwatch.work.waiting import waiting, with_places

_LOOK_EVERY, _DOWN_SECONDS = 0.2, 1.0
_log = logging.getLogger(__name__)


async def work_alone(host: Host) -> None:
    """Investigate whatever is due, until cancelled; a database that is away is waited for."""
    running: dict[str, Incident] = {}
    trouble = Trouble(_log, "what is due")
    async with anyio.create_task_group() as group:
        while True:
            try:
                for incident in _next(host, running):
                    running[incident.id] = incident
                    group.start_soon(_work_on, host, incident, running)
                trouble.over()
            except DatabaseDown as error:
                trouble.met(error)
                await anyio.sleep(_DOWN_SECONDS)
            await anyio.sleep(_LOOK_EVERY)


def _next(host: Host, running: dict[str, Incident]) -> list[Incident]:
    """Return what is to be begun now: as many as there are places, overall and of each team."""
    settings = host.settings
    teams = Counter(incident.owner for incident in running.values() if incident.owner)
    others = (
        each for each in waiting(host.journal, timedelta(seconds=settings.approval_seconds)) if each.id not in running
    )
    places = settings.investigations_at_once - len(running)
    return [*islice(with_places(others, teams, settings.team_investigations_at_once), places)]


async def _work_on(host: Host, incident: Incident, running: dict[str, Incident]) -> None:
    try:
        with claim(host.settings.data_dir / "claims", host.journal.database, incident.id) as ours:
            if ours:  # else another process works on it
                await investigate(host, incident)
    except DatabaseDown as error:
        _log.warning("%s goes on later: %s", incident.id, error)
        await anyio.sleep(_DOWN_SECONDS)
    finally:
        del running[incident.id]
