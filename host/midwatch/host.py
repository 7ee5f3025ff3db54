"""The host: servers, journal and steering put together; alerts in, investigations running, nothing lost.

The one place that wires. What an alert opens is on disk before anybody is told so; what was begun before a crash is
taken up again.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from midwatch.claude.models import Models, open_models
from midwatch.correlate import belongs_to, new_incident
from midwatch.declared import declared_topology
from midwatch.errors import BadSteering
from midwatch.gate import Approver
from midwatch.inquiry import Inquiry
from midwatch.investigation import Investigation, begin, limits_of
from midwatch.journal import Journal
from midwatch.links import Reach, connect, open_links
from midwatch.places import Places
from midwatch.records import Alert, Incident, Message
from midwatch.scoping import discover
from midwatch.servers import server_specs
from midwatch.settings import Settings
from midwatch.snapshots import snapshot_of
from midwatch.state import evidence_of, journal_of
from midwatch.steering import Steering, forbidden_by, load_steering
from midwatch.steers import look_of
from midwatch.toolbox import Eyes, Hands
from midwatch.watch.watching import RecoveryWatch
from midwatch_kit.evidence import canonical
from midwatch_kit.records import Window
from midwatch_topology import Topology


@dataclass
class Host:
    """A running host; made by `open_host`."""

    settings: Settings
    journal: Journal
    eyes: Eyes
    hands: Hands
    steering: tuple[Steering, ...]
    models: Models | None = None

    def receive(self, alerts: Iterable[Alert], now: datetime) -> list[Incident]:
        """Put alerts on record and return the incidents they belong to: new ones, or those that were there.

        An alert that is over and belongs to none opens none.
        """
        known = {incident.id: incident for incident in self.incidents()}
        touched: dict[str, Incident] = {}
        for alert in alerts:
            if incident := self._receive(alert, known.values(), now):
                known[incident.id] = touched[incident.id] = incident
        return list(touched.values())

    async def topology(self, window: Window) -> Topology:
        """Return what all servers together know of the application in a window; leaves nothing on record."""
        inquiry = Inquiry("topology", Journal(None), self.eyes, self.eyes.kept, limits_of(self.settings))
        return await discover(inquiry, window, declared_topology(self.settings))

    def incidents(self) -> list[Incident]:
        """Return every incident as it stands now, oldest first."""
        return self.journal.incidents()

    def investigation(
        self, incident: Incident, approver: Approver | None, steering: Sequence[Steering] | None = None
    ) -> Investigation:
        """Return the investigation of an incident, ready to run; without an approver it ends with the plan.

        Unless they are given, steering files are read anew; while one of them cannot be read, those of before hold, and
        that is on record.
        """
        try:
            self.steering = load_steering(self.settings.steering_dir) if steering is None else tuple(steering)
        except BadSteering as error:
            said = Message(text=f"steering as it was before: {error}")
            self.journal.note(incident.id, "message", f"steering:{look_of(self.journal, incident.id)}", said)
        return begin(incident, self.settings, self.journal, self.eyes, self.hands, self.steering, approver, self.models)

    def recovery_watch(self) -> RecoveryWatch:
        """Return the watch over the incidents of this host that came to a conclusion; it only reads."""

        def live(name: str) -> bool:
            return snapshot_of(self.journal, name) is None

        def forbidden(server: str, tool: str) -> str:
            return forbidden_by(self.steering)(server, tool)

        return RecoveryWatch(self.settings, self.journal, self.eyes, live, forbidden)

    def _receive(self, alert: Alert, known: Iterable[Incident], now: datetime) -> Incident | None:
        if part := belongs_to(alert, known):
            incident, why = part
            return self._join(alert, incident, why)
        if alert.action == "resolved":
            return None
        incident = new_incident(alert, now)
        noted = self.journal.note(incident.id, "incident", "1", incident, alert.source)
        self._keep_whole(alert, incident, "opened", "it opened this incident")
        return noted

    def _keep_whole(self, alert: Alert, incident: Incident, what: str, why: str) -> None:
        """Keep what the sender sent, byte for byte as JSON, and say where."""
        kept = self.eyes.kept.put(canonical(alert.model_dump(mode="json")))
        text = f"alert {alert.external_id} ({alert.action}), kept as evidence {kept}: {why}"
        said = Message(text=text, evidence=kept)
        self.journal.note(incident.id, "message", f"alert:{alert.id}:{what}", said, alert.source)

    def _join(self, alert: Alert, incident: Incident, why: str) -> Incident:
        self._keep_whole(alert, incident, alert.action, f"it belongs here: {why}")
        if alert.id in incident.alerts or alert.action == "resolved":
            return incident
        later = incident.model_copy(update={"alerts": (*incident.alerts, alert.id), "version": incident.version + 1})
        return self.journal.note(incident.id, "incident", str(later.version), later, alert.source)


@asynccontextmanager
async def open_host(settings: Settings, reach: Reach = connect) -> AsyncGenerator[Host]:
    """Connect to the servers and open the journal; a server that does not come up is known as missing.

    `reach` is how a server is connected to, where that is not as its settings say. Raises `BadSettings` and
    `BadSteering`.
    """
    specs, steering = server_specs(settings), load_steering(settings.steering_dir)
    journal = journal_of(settings)
    kept = evidence_of(settings, journal)
    places = Places(journal.database)
    try:
        async with (
            open_models(settings, places) as models,
            open_links(specs, settings.connect_seconds, settings.data_dir / "servers", reach) as links,
        ):
            yield Host(
                settings,
                journal,
                Eyes(links, kept, places, settings.server_calls_at_once),
                Hands(links, kept),
                steering,
                models,
            )
    finally:
        places.close()
        journal.close()
