"""A host that watches an application which is as ill as a test says, in a time that goes by when the test says so."""

import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from midwatch.host import Host, open_host
from midwatch.investigation import becomes
from midwatch.records import Conclusion, Incident, Message, Outcome, Report, Scope, Severity, Status, Steer
from midwatch.records.watch import Watch
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch.watch.watching import RecoveryWatch
from midwatch_kit.records import Citation, Observation, ObservationKind, Signal, TopologyFragment, Window

SERVER = Path(__file__).parent / "fever_server.py"


def scope_of_a_failure(window: Window, baseline: Window, signal: Signal, **told: Any) -> Scope:
    """Return what an investigation looked at whose symptom, failures of a gateway, was found in a signal."""
    symptom = Observation(
        id="o1",
        entity="service:gateway",
        signal=signal,
        kind=ObservationKind.SPIKE,
        subject="error_rate",
        statement="it rose",
        citations=(Citation(evidence="e" * 64, where="/rows/0", quote=1),),
        **told,
    )
    return Scope(
        symptom="service:gateway",
        window=window,
        baseline=baseline,
        onset=None,
        symptoms=(symptom,),
        topology=TopologyFragment(),
    )


@dataclass
class Clock:
    """Two clocks that go on when they are told to; the time of day can be set."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    passed: float = 1_000.0

    def wall(self) -> datetime:
        return self.at

    def steady(self) -> float:
        return self.passed

    def goes_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.passed += seconds


@dataclass
class Ward:
    """A host, its watch, and the application that the watch looks at."""

    host: Host
    clock: Clock
    state: Path
    watch: RecoveryWatch = field(init=False)
    ill: list[tuple[str, str, float]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=lambda: {"rate": 10, "usual": 10, "mode": ""})

    def __post_init__(self) -> None:
        self.starts_anew()
        self.is_(mode="")

    def starts_anew(self) -> None:
        """Forget all that is not in the journal, as a host does that was killed."""
        self.watch = self.host.recovery_watch()
        self.watch.wall, self.watch.steady = self.clock.wall, self.clock.steady
        self.watch.find_every = 1_000.0

    def sets(self, **watch: object) -> None:
        """Change settings of the watch; the host starts anew with them."""
        changed = self.host.settings.watch.model_copy(update=watch)
        self.host.settings = self.host.settings.model_copy(update={"watch": changed})
        self.starts_anew()

    @property
    def journal(self) -> Journal:
        return self.host.journal

    def is_(self, **figures: object) -> None:
        """Say how the application fares: `rate`, `usual`, `mode`."""
        self.figures |= figures
        self.state.write_text(json.dumps({**self.figures, "waves": self.ill}), encoding="utf-8")

    def fails(self, share: float = 0.3, *, since: float = 0, until: float = 10**6) -> None:
        """Have a share of requests fail from `since` seconds from now until `until` seconds from now."""
        moments = [(self.clock.at + timedelta(seconds=s)).isoformat() for s in (since, until)]
        self.ill.append((moments[0], moments[1], share))
        self.is_()

    def heals(self) -> None:
        """Have no request fail from now on."""
        now = self.clock.at.isoformat()
        self.ill = [(start, min(end, now), share) for start, end, share in self.ill if start < now]
        self.is_()

    def asked(self) -> list[dict[str, Any]]:
        """Return every question that the server was asked."""
        path = self.state.with_suffix(".calls")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def concludes(
        self,
        name: str = "01WATCHED",
        *,
        mitigated: bool = False,
        share: float = 0.3,
        signal: Signal = Signal.TRACES,
    ) -> str:
        """Put an incident on record that was investigated, and is watched from now on."""
        end = self.clock.at
        window = Window(start=end - timedelta(minutes=5), end=end)
        baseline = Window(start=end - timedelta(hours=1), end=window.start)
        counts = {"attributes": {"requests": "1000", "errors": str(round(1000 * share))}}
        told = counts if signal is Signal.TRACES else {"magnitude": 100 * share, "unit": "%"}
        scope = scope_of_a_failure(window, baseline, signal, **told)
        opened = Incident(
            id=name,
            title="Error rate of gateway",
            status=Status.INVESTIGATING,
            severity=Severity.HIGH,
            service="service:gateway",
            started_at=window.start,
            first_seen=end,
            alerts=("alert-1",),
        )
        self.journal.note(name, "incident", "1", opened)
        self.journal.note(name, "topology", "scope", scope)
        becomes(self.journal, opened, Status.WATCHING)
        self.journal.note(name, "conclusion", "1", Conclusion(outcome=Outcome.ROOT_CAUSE, statement="it failed"))
        report = Report(outcome=Outcome.ROOT_CAUSE, mitigated=mitigated, packet="")
        self.journal.note(name, "report", "1", report)
        return name

    def sender_says(self, name: str, action: str = "resolved") -> None:
        """Have the sender of the incident's alert say something of it."""
        said = Message(text=f"alert ({action})")
        self.journal.note(name, "message", f"alert:alert-1:{action}", said, "alertmanager")
        for noted in [*self.journal.entries(name, kind="message")][-1:]:
            self.watch.hear(noted)

    async def goes_on(self, seconds: float) -> None:
        """Let time go by, and take each look when it is due."""
        until = self.clock.passed + seconds
        while (wait := await self.watch.step()) <= until - self.clock.passed:
            self.clock.goes_on(max(wait, 0.01))
        self.clock.goes_on(until - self.clock.passed)

    def stands(self, name: str = "01WATCHED") -> Incident:
        incident = self.journal.incident(name)
        assert incident
        return incident

    def looks(self, name: str = "01WATCHED") -> list[Watch]:
        return self.journal.values(name, Watch)

    def said(self, name: str = "01WATCHED") -> list[str]:
        """Return what the watch said of an incident, as keys."""
        return [e.key for e in self.journal.entries(name, kind="message") if e.actor == "recovery watch"]

    def steers(self, name: str = "01WATCHED") -> list[Steer]:
        return self.journal.values(name, Steer)


def settings_with(folder: Path, name: str, *args: str, **environment: str) -> Settings:
    """Return the settings of a host whose one server Python runs."""
    server = {"command": sys.executable, "args": args, "env": environment, "suite": True}
    (folder / "servers.json").write_text(json.dumps({"mcpServers": {name: server}}))
    return Settings(
        data_dir=folder,
        servers_file=folder / "servers.json",
        steering_dir=folder / "steering",
        gather_seconds=0,
        call_seconds=5,
    )


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncGenerator[Ward]:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"rate": 10, "usual": 10, "mode": "", "waves": []}), encoding="utf-8")
    async with open_host(settings_with(tmp_path, "fever", "-S", str(SERVER), str(state))) as host:
        yield Ward(host, Clock(), state)
