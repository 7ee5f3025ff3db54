"""One process that works on what is due: a few investigations at once, the others wait in the journal."""

import logging
from collections import Counter
from collections.abc import Iterator
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
_Running = dict[str, Incident]


async def work_alone(host: Host) -> None:
    """Work on whatever is due, until cancelled; a database that is away is waited for."""
    decided: _Running = {}
    others: _Running = {}
    trouble, begun = Trouble(_log, "what is due"), Trouble(_log, "what was begun")
    async with anyio.create_task_group() as group:
        while True:
            try:
                for incident, beside in _next(host, decided, others):
                    beside[incident.id] = incident
                    group.start_soon(_work_on, host, incident, beside, begun)
                trouble.over()
            except DatabaseDown as error:
                trouble.met(error)
                await anyio.sleep(_DOWN_SECONDS)
            await anyio.sleep(_LOOK_EVERY)


def _next(host: Host, decided: _Running, others: _Running) -> Iterator[tuple[Incident, _Running]]:
    """Yield what is to be begun now, and beside what: as many as have places, overall and of each team."""
    settings, busy = host.settings, {*decided, *others}
    found = waiting(host.journal, timedelta(seconds=settings.approval_seconds))
    ends = (each for each in found.decided if each.id not in busy)
    for incident in islice(ends, settings.investigations_at_once - len(decided)):
        yield incident, decided
    teams = Counter(incident.owner for incident in others.values() if incident.owner)
    new = (each for each in found.others if each.id not in busy)
    placed = with_places(new, teams, settings.team_investigations_at_once)
    for incident in islice(placed, settings.investigations_at_once - len(others)):
        yield incident, others


async def _work_on(host: Host, incident: Incident, beside: _Running, trouble: Trouble) -> None:
    try:
        with claim(host.settings.data_dir / "claims", host.journal.database, incident.id) as ours:
            if ours:  # else another process works on it
                await investigate(host, incident)
                trouble.over()
    except DatabaseDown as error:
        trouble.met(error)
        await anyio.sleep(_DOWN_SECONDS)
    finally:
        del beside[incident.id]
