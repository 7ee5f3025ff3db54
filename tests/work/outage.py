"""An outage that can be rolled back, and hosts that work on it and are stopped at any record."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.work import crashing

from midwatch.records import Action, Conclusion, Incident, Plan, Severity, Status, Steer, Verdict
from midwatch.steering.steers import tell
from midwatch.storage.journal import Journal
from midwatch.storage.state import journal_of

KILLED, DONE = "-9", "0"
GOOD, ACTS = "9e8d7c6", "roll forge back from 3f2c1ab to 9e8d7c6"
Tells = Callable[..., str]


@dataclass
class Outage:
    """A case in a folder, its journal, and hosts that work on it one after the other."""

    folder: Path
    database: str
    hosts: Tells

    def __post_init__(self) -> None:
        self.folder.mkdir()
        state = self.folder / "rolled-back"
        state.touch()
        case = {"command": sys.executable, "args": ["-S", str(crashing.CASE), f"state={state}"], "suite": True}
        servers = {"case": case, "metrics": {"command": "no-such-server"}}
        (self.folder / "servers.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
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

    def runs(self, record: str = "", *, by: int = signal.SIGKILL, machine: str = "one", database: str = "") -> str:
        """Let a host work until a record is on disk, or to the end, and return how it ended."""
        return self.hosts(str(self.folder), machine, database or self.database, record, by)

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
                "rolled back": (self.folder / "rolled-back").read_text(encoding="utf-8").split(),
                "status": incident.status,
            }

    def kinds(self) -> set[str]:
        with self.journal() as journal:
            return {entry.type for entry in journal.entries("01INCIDENT")}
