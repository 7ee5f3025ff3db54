"""Where an incident's alerts came from, so that it can be told there: on the same PagerDuty incident, the same issue.

A pure reading of the alerts that were kept. An alert is foreign: it may name where it came from, and nothing it says
widens what the settings allow to be written to.
"""

import contextlib
import zlib
from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from pydantic import Field, ValidationError

from midwatch.records import Alert, Message
from midwatch.storage.journal import Journal
from midwatch.storage.tables import alerts
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Record

_MOST = 50


class Origin(Record):
    """What one alert says of where it came from."""

    source: str
    external_id: str
    links: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)


def origins(journal: Journal, kept: EvidenceStore, investigation: str) -> tuple[Origin, ...]:
    """Return where an incident's alerts came from, the first first; what is not kept any more is left out."""
    said = (entry for entry in journal.entries(investigation, kind="message") if entry.key.startswith("alert:"))
    names = dict.fromkeys(Message.model_validate(entry.body).evidence for entry in said)
    opened = [alert for name in [*names][:_MOST] if name and (alert := _alert(kept, name))]
    return _once([*opened, *_joined(journal, investigation)])


def _joined(journal: Journal, investigation: str) -> Iterator[Alert]:
    """Yield the alerts that became part of an incident, whichever opened it."""
    part = (alerts.c.incident == investigation) & alerts.c.joins
    query = sa.select(alerts.c.body).where(part).order_by(alerts.c.seq).limit(_MOST)
    with journal.database.reading() as connection:
        bodies = [*connection.execute(query).scalars()]
    for body in bodies:
        with contextlib.suppress(ValidationError, zlib.error):
            yield Alert.model_validate_json(zlib.decompress(body))


def _once(told: Iterable[Alert]) -> tuple[Origin, ...]:
    found: dict[tuple[str, str], Origin] = {}
    for alert in told:
        origin = Origin(source=alert.source, external_id=alert.external_id, links=alert.links[:20], labels=alert.labels)
        found.setdefault((alert.source, alert.external_id), origin)
    return tuple(found.values())


def _alert(kept: EvidenceStore, name: str) -> Alert | None:
    try:
        return Alert.model_validate_json(kept.get(name))
    except (KitError, OSError, ValidationError):
        return None
