"""What became of a storm beside the truth: the incidents of the alerts on record, and the outages that they are of."""

from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from midwatch.reception.rows import alert_of
from midwatch.records import Incident, Status
from midwatch.storage.database import Database
from midwatch.storage.tables import alerts, incidents
from midwatch_bench.storm_alerts import Storm, alertmanager_fingerprint
from midwatch_kit.window import rfc3339


@dataclass(frozen=True)
class Sorted:
    """What became of a storm: `astray` alerts are of no incident, or of one that is mostly of another outage."""

    rows: int
    incidents: int
    mixed: int
    split: int
    astray: int
    linked: int

    def __str__(self) -> str:
        return f"{self.rows} {self.incidents} {self.mixed} {self.split} {self.astray} (linked {self.linked})"


def compared(where: Path | str, made: Storm) -> Sorted:
    """Compare the incidents of alerts on record, by the path or the address of their database, with the truth."""
    truth = {}
    for fired in made.sent:
        for name in (fired.name, alertmanager_fingerprint(fired)):
            truth[name, rfc3339(fired.start)] = fired.outage
    with closing(Database(where, prepare=False)) as database, database.reading() as connection:
        rows = connection.execute(sa.select(alerts.c.incident, alerts.c.body)).all()
        stand = [Incident.model_validate_json(body) for body in connection.scalars(sa.select(incidents.c.body))]
    linked = {each.id: each.triage.linked_to for each in stand if each.status is Status.LINKED}
    counted: dict[str, Counter[int]] = defaultdict(Counter)
    for incident, body in rows:
        alert, part_of = alert_of(body), incident or ""
        while part_of in linked:
            part_of = linked[part_of] or ""
        counted[part_of][truth[alert.external_id, rfc3339(alert.started_at)]] += 1
    nowhere = counted.pop("", Counter())
    in_incidents = Counter(outage for outages in counted.values() for outage in outages)
    return Sorted(
        rows=len(rows),
        incidents=len(counted),
        mixed=sum(len(outages) > 1 for outages in counted.values()),
        split=sum(times > 1 for times in in_incidents.values()),
        astray=sum(outages.total() - max(outages.values()) for outages in counted.values()) + nowhere.total(),
        linked=len(linked),
    )
