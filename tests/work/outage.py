"""An outage that can be rolled back, and hosts that work on it and are stopped at any moment."""

import json
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.work import crashing
from tests.work.surroundings import Surroundings

from midwatch.channels.webhook import Event
from midwatch.records import (
    Action,
    Conclusion,
    Feedback,
    Incident,
    ModelCall,
    Plan,
    Severity,
    Status,
    Steer,
    Verdict,
)
from midwatch.records.runbook import Runbook
from midwatch.steering.steers import tell
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.state import journal_of

KILLED, DONE = "-9", "0"
GOOD, ACTS = "9e8d7c6", "roll forge back from 3f2c1ab to 9e8d7c6"
Tells = Callable[..., str]
_WIKI = {
    "search": {"tool": "search_pages", "arguments": {"query": "{query}"}},
    "fetch": {"tool": "read_page", "arguments": {"id": "{id}"}, "title": "/title", "text": "/text"},
}


class Course(NamedTuple):
    """What came of an outage, without times, and the kinds of records on the way."""

    told: dict[str, Any]
    kinds: set[str]


@dataclass
class Outage:
    """A case in a folder, its journal, and hosts that work on it one after the other.

    In a `busy` one a model takes part, and a person says what it really was; that takes half as long again.
    """

    folder: Path
    database: str
    hosts: Tells
    around: Surroundings
    busy: bool = False
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _asked_before: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir()
        state = self.folder / "rolled-back"
        state.touch()
        args = ["-S", str(crashing.CASE), f"state={state}", "wiki"]
        case = {"command": sys.executable, "args": args, "suite": True, "runbooks": _WIKI}
        servers = {"case": case, "metrics": {"command": "no-such-server"}}
        (self.folder / "servers.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
        told = self.around.settings(self.name, busy=self.busy)
        (self.folder / "settings.json").write_text(json.dumps(told), encoding="utf-8")
        self._asked_before = len(self.around.model.bodies)
        at = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
        incident = Incident(
            id="01INCIDENT",
            title="Error rate of gateway",
            status=Status.TRIAGING,
            severity=Severity.HIGH,
            service="service:gateway",
            started_at=at,
            first_seen=at,
        )
        with self.journal() as journal:
            journal.note(incident.id, "incident", "1", incident)
            tell(journal, incident.id, Steer(text="is it the bot?", by="ann", kind="change", entity="service:bot"))

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        with closing(journal_of(crashing.settings(self.folder, "one", self.database))) as journal:
            yield journal

    def runs(self, moment: str = "", *, by: int = signal.SIGKILL, machine: str = "one", database: str = "") -> str:
        """Let a host work until a record or a file is on disk, or to the end, and return how it ended."""
        return self.hosts(str(self.folder), machine, database or self.database, moment, by)

    def goes_on(self, paused: str) -> str:
        """Let a host that is paused go on, to its end."""
        return self.hosts("goes on", int(paused))

    def told(self) -> dict[str, Any]:
        """Return what came of it, without times."""
        with self.journal() as journal:
            (incident,) = journal.incidents()
            assert journal.check(incident.id) > 0
            (conclusion,) = journal.values(incident.id, Conclusion)
            return {
                "causes": [(c.kind, c.entity, c.confidence, c.supports) for c in conclusion.root_causes],
                "ruled out": sorted(out.statement for out in conclusion.ruled_out),
                "gaps": sorted((gap.what, gap.why) for gap in conclusion.gaps),
                "verdicts": sorted(
                    (v.hypothesis, v.result, v.probability) for v in journal.values("01INCIDENT", Verdict)
                ),
                "plan": [plan.digest for plan in journal.values(incident.id, Plan)],
                "actions": sorted((a.step, a.outcome) for a in journal.values(incident.id, Action)),
                "runbooks": [(book.title, book.opening) for book in journal.values(incident.id, Runbook)],
                "answers of the model": sorted(each.actor for each in self._answers(journal)),
                "people": sorted(event.type for event in self.events()),
                "feedback": [(said.by, said.note) for said in journal.values(incident.id, Feedback)],
                "rolled back": (self.folder / "rolled-back").read_text(encoding="utf-8").split(),
                "status": incident.status,
            }

    def events(self) -> list[Event]:
        """Return what people were told, in order, as receivers count it: an id that comes again is nothing new.

        Fails when the same was told under two ids, or something else under an id that was there.
        """
        taken = self.around.receiver.taken[self.name]
        said = {event.id: (event.type, event.data.text) for event in taken}
        assert all(said[event.id] == (event.type, event.data.text) for event in taken)
        assert len({*said.values()}) == len(said), said
        return [*{event.id: event for event in taken}.values()]

    @property
    def repeats(self) -> int:
        """How many events came again, each under the id that it had."""
        return len(self.around.receiver.taken[self.name]) - len(self.events())

    def silences_the_receiver(self) -> str:
        """Have the next event taken and not answered; returns the file that is there once it came."""
        came = self.folder / "came"
        self.around.receiver.silent[self.name] = came
        return str(came)

    def paid_in_vain(self) -> int:
        """Return how many answers a model gave, and was paid for, that are not on record."""
        with self.journal() as journal:
            return len(self.around.model.bodies) - self._asked_before - len(self._answers(journal))

    def _answers(self, journal: Journal) -> list[Entry]:
        calls = journal.entries("01INCIDENT", kind="model_call")
        return [entry for entry in calls if not ModelCall.model_validate(entry.body).error]

    def kinds(self) -> set[str]:
        with self.journal() as journal:
            return {entry.type for entry in journal.entries("01INCIDENT")}
