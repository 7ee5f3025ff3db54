"""Investigations that run in this process: a few at once, each to its end, none taken up that nobody asked for.

What began before a restart stays in the journal; `begin` goes on with it. Who waits for a person's decision gives its
place to another.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

import anyio
from anyio.abc import TaskGroup

from midwatch.chat.talk import Talk
from midwatch.errors import HostError
from midwatch.host import Host, open_host
from midwatch.investigation import becomes
from midwatch.mitigation.approvals import ThroughTheJournal
from midwatch.mitigation.gate import Approver
from midwatch.records import Decision, Incident, Plan, Status
from midwatch.settings import Settings
from midwatch.steering.steers import unheeded
from midwatch.storage.claim import claim
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import snapshot_of
from midwatch.storage.state import evidence_of, journal_of
from midwatch_kit.evidence import EvidenceStore

_AT_ONCE = 4
_MOST_BEGUN = 32


@dataclass
class Running:
    """What this process investigates; made by `open_running`."""

    settings: Settings
    journal: Journal
    kept: EvidenceStore
    group: TaskGroup
    _places: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(_AT_ONCE))
    _begun: set[str] = field(default_factory=set)
    _hosts: list[Host] = field(default_factory=list)
    _wanted: anyio.Event = field(default_factory=anyio.Event)
    _opened: anyio.Event = field(default_factory=anyio.Event)

    async def host(self) -> Host:
        """Return the host over the configured servers, which are started when first wanted; waits until they are up."""
        self._wanted.set()
        await self._opened.wait()
        return self._hosts[0]

    def begin(self, incident: Incident) -> bool:
        """Investigate an incident from where its journal stands; False when that runs already. Raises `HostError`."""
        if incident.id in self._begun:
            return False
        if len(self._begun) >= _MOST_BEGUN:
            raise HostError(f"{_MOST_BEGUN} investigations are under way here: wait until one has ended")
        if incident.status is Status.FAILED:
            becomes(self.journal, incident, Status.TRIAGING, "taken up again")
        self._begun.add(incident.id)
        self.group.start_soon(self._investigate, incident)
        return True

    def runs(self, investigation: str) -> bool:
        """Whether an investigation runs, or waits for a place, in this process."""
        return investigation in self._begun

    @cached_property
    def talk(self) -> Talk:
        """Who answers questions; servers are asked only where the journal holds no answer."""
        return Talk(self.settings, self.journal, self.kept, self.host_for)

    async def keep_host(self) -> None:
        """Hold the connections to the configured servers, once they are wanted, until cancelled."""
        await self._wanted.wait()
        async with open_host(self.settings) as host:
            self._hosts.append(host)
            self._opened.set()
            await anyio.sleep_forever()

    async def _investigate(self, incident: Incident) -> None:
        try:
            with claim(self.settings.data_dir / "claims", self.journal.database, incident.id) as ours:
                if ours:  # else another process works on it, and its records can be followed all the same
                    await self._run(incident)
        except Exception as error:  # one investigation that breaks must not stop the others
            becomes(self.journal, incident, Status.FAILED, _reason(error)[:500])
            return
        finally:
            self._begun.discard(incident.id)
        if unheeded(self.journal, incident.id):  # told while it was ending
            self.begin(incident)

    async def _run(self, incident: Incident) -> None:
        approver = ThroughTheJournal(self.journal, self.settings.approval_seconds)
        async with self._places, self.host_for(incident) as host:
            await host.investigation(incident, _OutOfTheWay(approver, self._places)).run()

    @asynccontextmanager
    async def host_for(self, incident: Incident | None) -> AsyncGenerator[Host]:
        """Yield the host whose servers hold an incident's telemetry: for a snapshot, servers of its own."""
        snapshot = snapshot_of(self.journal, incident.id) if incident else None
        if snapshot in (None, self.settings.store):
            yield await self.host()
            return
        async with open_host(self.settings.model_copy(update={"store": snapshot})) as host:
            yield host


@dataclass(frozen=True)
class _OutOfTheWay:
    """Lets another investigation work while a plan waits for its decision."""

    approver: Approver
    places: anyio.Semaphore

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Return the decision."""
        self.places.release()
        try:
            return await self.approver.decide(incident, plan)
        finally:
            with anyio.CancelScope(shield=True):
                await self.places.acquire()


@asynccontextmanager
async def open_running(settings: Settings) -> AsyncGenerator[Running]:
    """Open the journal, which is all that reading takes; what runs is stopped with the block."""
    journal = journal_of(settings)
    kept = evidence_of(settings, journal)
    try:
        async with anyio.create_task_group() as group:
            running = Running(settings, journal, kept, group)
            group.start_soon(running.keep_host)
            yield running
            group.cancel_scope.cancel()
    finally:
        journal.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _reason(error.exceptions[0])
    return f"{type(error).__name__}: {error}"
