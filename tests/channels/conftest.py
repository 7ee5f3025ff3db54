"""What the tests of channels share: a journal with an incident that can be led through its life, and a notifier."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from midwatch.channels.letters import Channel
from midwatch.channels.notifier import Line, Notifier, Pace
from midwatch.channels.opening import open_channel
from midwatch.channels.outbox import Outbox
from midwatch.correlation import new_incident
from midwatch.investigation import becomes
from midwatch.records import (
    Action,
    Alert,
    Argument,
    Call,
    Cause,
    Conclusion,
    Decision,
    Expectation,
    Gap,
    HypothesisKind,
    Incident,
    Message,
    Outcome,
    Plan,
    Severity,
    Status,
    Step,
    Verdict,
)
from midwatch.settings.channels import AnyChannel, ChannelSettings
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore, canonical

FAST = Pace(gather=0.0, sweep=0.25, pause=0.004)
DIGEST = "3f6a" * 16
_SETTINGS: TypeAdapter[ChannelSettings] = TypeAdapter(AnyChannel)


def settings_of(**told: Any) -> Any:
    """Return a channel's settings, as a settings file would have them."""
    return _SETTINGS.validate_python(told)


@dataclass
class Story:
    """An incident of the journal, and what happens to it."""

    journal: Journal
    kept: EvidenceStore
    incident: Incident

    @property
    def id(self) -> str:
        return self.incident.id

    def concludes(self, version: int = 1, statement: str = "stock 2.4.1 made calls of stock fail") -> None:
        cause = Cause(
            entity="service:stock", kind=HypothesisKind.CHANGE, statement=statement, onset=self.incident.started_at,
            confidence=0.86, path=("service:stock", "service:web"), supports=(), hypothesis="h1",
        )  # fmt: skip
        why = Argument(name="onset", weight=2.0, text="it began 11 s after the deploy, before the symptom")
        said = Verdict(hypothesis="h1", result="supported", reason="it fits", probability=0.86, arguments=(why,))
        self.journal.note(self.id, "verdict", f"h1:{version}", said)
        concluded = Conclusion(outcome=Outcome.ROOT_CAUSE, statement=statement, root_causes=(cause,), version=version)
        self.journal.note(self.id, "conclusion", str(version), concluded)

    def plans(self, digest: str = DIGEST, look: int = 1, action: str = "roll stock back to 2.4.0") -> Plan:
        back = Call(server="deploys", tool="roll_back", arguments={"service": "stock", "to_version": "2.4.0"})
        forth = Call(server="deploys", tool="roll_back", arguments={"service": "stock", "to_version": "2.4.1"})
        step = Step(
            title="roll stock back", phase="apply", call=back, inverse=forth, expect=Expectation.SYMPTOM_GONE,
            safety="mutating",
        )  # fmt: skip
        plan = Plan(
            action=action, reasoning="the change is the cause", risk="orders wait", steps=(step,), digest=digest
        )
        return self.journal.note(self.id, "plan", str(look), plan)

    def becomes(self, status: Status, reason: str = "") -> None:
        self.incident = becomes(self.journal, self.incident, status, reason)

    def waits(self, digest: str = DIGEST, look: int = 1) -> None:
        self.becomes(Status.INVESTIGATING)
        self.concludes(look)
        self.plans(digest, look)
        self.becomes(Status.AWAITING_APPROVAL)

    def is_cured(self, by: str = "robin") -> None:
        self.journal.note(self.id, "decision", DIGEST, Decision(digest=DIGEST, approved=True, by=by, reason="go"), by)
        self.becomes(Status.MITIGATING)
        done = Action(step="roll stock back", phase="apply", outcome="done", detail="ok")
        self.journal.note(self.id, "action", "roll stock back", done)
        self.becomes(Status.RESOLVED)

    def gaps(self) -> list[str]:
        return [f"{gap.what}: {gap.why}" for gap in self.journal.values(self.id, Gap)]

    def told(self) -> list[str]:
        return [message.text for message in self.journal.values(self.id, Message) if message.text.startswith("told ")]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.database.close()


@pytest.fixture
def kept(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence", 2**30)


Opened = Callable[..., Story]


@pytest.fixture
def opens(journal: Journal, kept: EvidenceStore) -> Opened:
    """Return what opens an incident; keywords are those of its alert."""
    count = iter(range(1000))

    def open_one(*, journal: Journal = journal, kept: EvidenceStore = kept, **alert: Any) -> Story:
        now = datetime.now(UTC)
        number = next(count)
        told = {
            "id": f"alert-{number}", "source": "generic", "external_id": f"web-{number}", "severity": Severity.HIGH,
            "title": "Error rate of web above 5 %", "service": "web", "started_at": now - timedelta(seconds=40),
        } | alert  # fmt: skip
        received = Alert.model_validate(told)
        incident = new_incident(received, now)
        where = kept.put(canonical(received.model_dump(mode="json")))
        with journal.transaction() as notes:
            notes.note(incident.id, "incident", "1", incident, received.source)
            said = Message(text="kept", evidence=where)
            notes.note(incident.id, "message", f"alert:{received.id}:opened", said, received.source)
        return Story(journal, kept, incident)

    return open_one


@pytest.fixture
def story(opens: Opened) -> Story:
    return opens()


@dataclass
class Telling:
    """A notifier that runs, over channels by name."""

    notifier: Notifier
    channels: Mapping[str, Channel]
    outbox: Outbox
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def until(self, true: Callable[[], object], what: str = "it came to pass") -> None:
        """Wait until something is so; fails when it is not soon."""
        with anyio.move_on_after(30):
            while True:
                if true():
                    return
                await anyio.sleep(0.01)
        pytest.fail(f"not within 30 s: {what}")

    async def settles(self, story: Story) -> None:
        """Wait until everything is told that is to be told of an incident."""
        names = [*self.channels]
        await self.until(lambda: not self._left(story, names), "all was told")

    def _left(self, story: Story, names: list[str]) -> bool:
        unseen = self.outbox.unseen(datetime.now(UTC) - timedelta(days=1), names)
        return any(name == story.id for name, _ in unseen)


@asynccontextmanager
async def telling(
    journal: Journal, kept: EvidenceStore, *, pace: Pace = FAST, outbox: Outbox | None = None, **settings: Any
) -> AsyncGenerator[Telling]:
    """Run a notifier with channels of these settings while the block runs, as a host would; then it ends at once."""
    outbox = outbox or Outbox(journal.database)
    channels = {name: open_channel(name, each) for name, each in settings.items()}
    lines = {name: Line(name, channel, settings[name]) for name, channel in channels.items()}
    notifier = Notifier(journal, kept, outbox, lines, pace)
    journal.listeners.append(notifier.hear)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(notifier.run)
            yield Telling(notifier, channels, outbox)
            group.cancel_scope.cancel()
    finally:
        journal.listeners.remove(notifier.hear)
        for channel in channels.values():
            await channel.aclose()
