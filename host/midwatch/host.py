"""The host: servers, journal and steering put together; alerts in, investigations running, nothing lost.

The one place that wires. What an alert opens is on disk before anybody is told so; what was begun before a crash is
taken up again.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import anyio

from midwatch.claude.models import Models, open_models
from midwatch.correlation import Neighbourhood, Rules
from midwatch.declared import declared_topology
from midwatch.errors import BadSteering, HostError
from midwatch.inquiry import Inquiry
from midwatch.investigation import Investigation, begin, limits_of
from midwatch.mcp_client.links import Reach, connect, open_links
from midwatch.mcp_client.servers import server_specs
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.mitigation.gate import Approver
from midwatch.reception import AlertBook, Reception
from midwatch.records import Alert, Incident, Message
from midwatch.scoping import discover
from midwatch.settings import Settings
from midwatch.steering.files import Steering, alert_rules, forbidden_by, load_steering
from midwatch.steering.steers import look_of
from midwatch.storage.journal import Journal
from midwatch.storage.places import Places
from midwatch.storage.snapshots import is_live
from midwatch.storage.state import evidence_of, journal_of
from midwatch.watch.watching import RecoveryWatch
from midwatch_kit.errors import KitError
from midwatch_kit.records import Window
from midwatch_kit.window import resolve_window
from midwatch_topology import Topology

_LEARN_EVERY = 60


@dataclass
class Host:
    """A running host; made by `open_host`."""

    settings: Settings
    journal: Journal
    eyes: Eyes
    hands: Hands
    steering: tuple[Steering, ...]
    models: Models | None = None
    at_work: set[str] = field(default_factory=set)
    """The incidents that are investigated in this process just now."""
    _area: Neighbourhood | None = None

    @cached_property
    def reception(self) -> Reception:
        """What puts alerts on record, for whoever gets them."""
        return Reception(AlertBook(self.journal, self.eyes.kept, self.settings.correlation, self._rules, self._near))

    def _rules(self) -> Rules:
        return alert_rules(self.steering)

    def _near(self) -> Neighbourhood:
        """Return how entities are tied, as far as that is known: at first only what is declared."""
        if self._area is None:
            self._area = Neighbourhood(declared_topology(self.settings))
        return self._area

    def receive(self, alerts: Iterable[Alert], now: datetime) -> list[Incident]:
        """Put alerts on record and return the incidents they belong to: new ones, or those that were there.

        An alert that is over and belongs to none opens none.
        """
        receipts, noted = self.reception.book.store([(alert, now) for alert in alerts])
        self.reception.book.tell(noted)
        names = dict.fromkeys(receipt.incident for receipt in receipts if receipt.incident)
        return [incident for name in names if (incident := self.journal.incident(name))]

    async def topology(self, window: Window) -> Topology:
        """Return what all servers together know of the application in a window; leaves nothing on record."""
        inquiry = Inquiry("topology", Journal(None), self.eyes, self.eyes.kept, limits_of(self.settings))
        return await discover(inquiry, window, declared_topology(self.settings))

    async def learn(self) -> None:
        """Learn anew how entities are tied and what the steering files say: that is what becomes of alerts by.

        What cannot be read now stays as it was; the investigation that needs it says so.
        """
        with suppress(HostError, KitError):
            self._area = Neighbourhood(await self.topology(resolve_window("-1h", "now")))
        with suppress(BadSteering):
            self.steering = load_steering(self.settings.steering_dir)

    async def keep_learning(self) -> None:
        """Learn every minute, until cancelled."""
        while True:
            await anyio.sleep(_LEARN_EVERY)
            with anyio.move_on_after(_LEARN_EVERY):
                await self.learn()

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
            return is_live(self.journal, name)

        def forbidden(server: str, tool: str) -> str:
            return forbidden_by(self.steering)(server, tool)

        return RecoveryWatch(self.settings, self.journal, self.eyes, live, forbidden)


@asynccontextmanager
async def open_host(settings: Settings, reach: Reach = connect, *, wait: bool = True) -> AsyncGenerator[Host]:
    """Connect to the servers and open the journal; a server that does not come up is known as missing.

    `reach` is how a server is connected to, where that is not as its settings say. Without `wait` servers may still be
    coming up. Raises `BadSettings` and `BadSteering`.
    """
    specs, steering = server_specs(settings), load_steering(settings.steering_dir)
    journal = journal_of(settings)
    kept = evidence_of(settings, journal)
    places = Places(journal.database)
    try:
        async with (
            open_models(settings, places) as models,
            open_links(specs, settings.connect_seconds, settings.data_dir / "servers", reach, wait=wait) as links,
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
