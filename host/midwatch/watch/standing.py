"""How a watched incident stands, read from its journal: nothing else is remembered, so a crash loses nothing."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Final

from midwatch.records import Incident, Report, Scope, Status
from midwatch.records.watch import Watch
from midwatch.settings.watch import WatchSettings
from midwatch.steering.steers import look_of, unheeded
from midwatch.storage.journal import Entry, Journal
from midwatch.watch.course import Facts
from midwatch.watch.sight import needed

BY: Final = "recovery watch"
"""The actor of all that the watch notes."""
_ALERT: Final = "alert:"
_ALERTS: Final = "alerts:"
_OVER: Final = ":resolved"
_ALL_OVER: Final = ":over"
_FIRING: Final = ":firing"
"""How the reception says of all alerts of an incident together that they are over, or that one fires again."""


@dataclass(frozen=True)
class Standing:
    """One watched incident: where it stands, its looks of this round, and what else is known.

    `since` is the moment at which it came to be watched, or was closed. `news` are keys of what senders of alerts said
    since the last look. `ended` says that its watch is over.
    """

    incident: Incident
    round: int
    since: datetime
    looks: tuple[Watch, ...]
    facts: Facts
    ended: bool
    news: frozenset[str] = field(default_factory=frozenset)

    def key(self, what: str) -> str:
        """Return the key of a record that each round makes anew."""
        return f"watch:{self.round}:{what}"


def standing(journal: Journal, name: str, settings: WatchSettings) -> Standing | None:
    """Return how a watched incident stands; None for one that is not watched, or has to be investigated again."""
    incident = journal.incident(name)
    if incident is None or incident.status not in (Status.WATCHING, Status.RESOLVED):
        return None
    turned = _turned(journal, name)
    if (incident.status is Status.RESOLVED and turned.actor != BY) or unheeded(journal, name):
        return None
    number = look_of(journal, name)
    report = journal.recall(name, "report", str(number), Report)
    if report is None:
        return None
    noted = [(entry, Watch.model_validate(entry.body)) for entry in journal.entries(name, kind="watch")]
    mine = [(entry, look) for entry, look in noted if look.round == number]
    messages = [*journal.entries(name, kind="message")]
    said = [entry for entry in messages if entry.key.startswith((_ALERT, _ALERTS))]
    own = {entry.key for entry in messages if entry.actor == BY}
    scopes = journal.values(name, Scope)
    facts = Facts(
        mitigated=report.mitigated,
        closed=_before(mine, turned) if incident.status is Status.RESOLVED else None,
        over=_over(incident, said, mine),
        reopened=sum(entry.actor == BY for entry in journal.entries(name, kind="steer")),
        requests=needed(scopes[-1], settings.requests) if scopes else settings.requests,
        calls=sum(look.calls for _, look in noted if look.round != number),
    )
    seen = max((entry.seq for entry, _ in mine), default=turned.seq)  # what was said before is known
    return Standing(
        incident,
        number,
        turned.at,
        tuple(look for _, look in mine),
        facts,
        f"watch:{number}:over" in own,
        frozenset(entry.key for entry in said if entry.seq > seen),
    )


def _before(looks: list[tuple[Entry, Watch]], at: Entry) -> int:
    return sum(entry.seq < at.seq for entry, _ in looks)


def _over(incident: Incident, said: list[Entry], looks: list[tuple[Entry, Watch]]) -> int | None:
    """Return how many looks there were when the last of an incident's alerts was said to be over; None while one isn't.

    What is said of an alert later counts: one that is sent again is not over.
    """
    if together := [entry for entry in said if entry.key.endswith((_ALL_OVER, _FIRING))]:
        return _before(looks, together[-1]) if together[-1].key.endswith(_ALL_OVER) else None
    latest: dict[str, Entry] = {}
    for entry in said:
        latest[entry.key.removeprefix(_ALERT).rpartition(":")[0]] = entry
    if not incident.alerts or not all(a in latest and latest[a].key.endswith(_OVER) for a in incident.alerts):
        return None
    return _before(looks, max((latest[alert] for alert in incident.alerts), key=lambda entry: entry.seq))


def _turned(journal: Journal, name: str) -> Entry:
    """Return the record with which an incident came to the status that it has: later ones may say more of it."""
    noted = [*journal.entries(name, kind="incident")]
    latest = noted[-1].body["status"]
    return [*takewhile(lambda entry: entry.body["status"] == latest, reversed(noted))][-1]
