"""The tools that do something: start and go on with an investigation, steer it, ask its person about a plan.

None of them approves anything: an approval is a person's answer to a form that their client shows, and no argument of
a tool can stand in for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mcp import types
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import AcceptedElicitation, Elicit, ElicitationResult, Resolve
from pydantic import Field, JsonValue

from midwatch.correlation import new_incident
from midwatch.errors import BadAlert
from midwatch.mcp_server.asking import Approval, NotAsked, question, who_is_at
from midwatch.mcp_server.following import Say, wait_until_settled
from midwatch.mcp_server.looking import IncidentName
from midwatch.mcp_server.reply import offered, tell
from midwatch.mcp_server.running import Running
from midwatch.mcp_server.triggers import Trigger, trigger_of
from midwatch.mitigation.approvals import decide_by_name
from midwatch.reading.lines import is_unfinished, plan_lines
from midwatch.reading.packet import packet
from midwatch.records import HypothesisKind, Incident
from midwatch.steering.steers import meaning
from midwatch.steering.steers import tell as tell_investigation
from midwatch.storage.named import find_incident
from midwatch.storage.snapshots import read_from_snapshot
from midwatch.telling import Fields
from midwatch.understanding import understand
from midwatch_kit.strict import StrictTool

Wait = Annotated[bool, Field(description="stay until there is a conclusion, and tell of progress meanwhile")]
Timeout = Annotated[float, Field(gt=0, le=600, description="how many seconds to stay at most")]
_PATIENT_SECONDS = 660.0


@dataclass(frozen=True)
class Acting:
    """The acting tools over what runs here."""

    running: Running

    def tools(self) -> list[StrictTool]:
        """Return the tools, in the order in which they are listed."""
        start, go_on, steer = self.start_investigation, self.continue_investigation, self.steer_investigation
        return [
            offered(start, "Start an investigation", reads=False, world=True, seconds=_PATIENT_SECONDS),
            offered(go_on, "Go on with an investigation", reads=False, world=True, seconds=_PATIENT_SECONDS),
            offered(steer, "Steer an investigation", reads=False, world=True),
            offered(_asking(self.running), "Ask a person to approve", reads=False, destroys=True, world=True),
        ]

    async def start_investigation(
        self,
        ctx: Context,
        what: Annotated[str, Field(description="a sentence that names a service, as in: web fails since 02:48")] = "",
        alert: Annotated[
            dict[str, JsonValue] | None,
            Field(description="or an alert: Alertmanager's webhook body, or {title, service, started_at}"),
        ] = None,
        snapshot: Annotated[str, Field(description="or the folder of a snapshot on this machine")] = "",
        wait: Wait = False,
        timeout_seconds: Timeout = 50,
    ) -> types.CallToolResult:
        """Start an investigation and return the incident's id at once, or stay until it concludes. It only reads."""
        host = await self.running.host()
        trigger = await trigger_of(host, what, alert, snapshot)
        self._note_snapshot(trigger)
        incidents = host.receive(trigger.alerts, trigger.seen)
        if not incidents:
            raise BadAlert("the alert is over, and no incident on record is the one that it ended")
        return await self._go(ctx, incidents[0], wait=wait, seconds=timeout_seconds)

    async def continue_investigation(
        self, ctx: Context, incident: IncidentName = "", wait: Wait = False, timeout_seconds: Timeout = 50
    ) -> types.CallToolResult:
        """Go on with an investigation that was cut off; what was settled stays settled, nothing is asked twice."""
        found = find_incident(self.running.journal, incident)
        if not is_unfinished(self.running.journal, found):
            return tell(
                [f"{found.id} is finished: {found.status}. To have it look again, steer it."], incident=found.id
            )
        noted = sum(1 for _ in self.running.journal.entries(found.id))
        return await self._go(ctx, found, wait=wait, seconds=timeout_seconds, after=noted)

    async def steer_investigation(
        self,
        ctx: Context,
        words: Annotated[str, Field(min_length=1, max_length=1000, description="what the person said, word for word")],
        incident: IncidentName = "",
        kind: Annotated[HypothesisKind | None, Field(description="a kind of cause to test, at `entity`")] = None,
        entity: Annotated[str, Field(description="where to test it: an entity's id or bare name")] = "",
        leave_out: Annotated[str, Field(description="an entity that is noise, whatever was seen of it")] = "",
        ignore: Annotated[str, Field(max_length=200, description="a text: observations that say it are noise")] = "",
        window: Annotated[
            str,
            Field(max_length=100, description="when to look: latest or first (wave), 2, whole, or START/END in UTC"),
        ] = "",
    ) -> types.CallToolResult:
        """Tell an investigation what its person knows: a cause to test, noise to leave out, or when to look.

        Words alone do where they are plain: look only at the latest wave. What is under way ends, and a further look
        heeds it; the record says what came of it. To wait for that: continue_investigation with wait.
        """
        found = find_incident(self.running.journal, incident)
        given = Fields(kind or "", entity, leave_out, ignore, window)
        steer = await understand(self.running.journal, self.running.settings, found, words, who_is_at(ctx), given)
        tell_investigation(self.running.journal, found.id, steer)
        return await self._go(ctx, found, wait=False, seconds=0, said=f"Understood: {meaning(steer)}")

    async def _go(
        self, ctx: Context, incident: Incident, *, wait: bool, seconds: float, after: int = 0, said: str = ""
    ) -> types.CallToolResult:
        """Have an incident investigated, and return at once, or when there is a conclusion."""
        self.running.begin(incident)
        if wait and await wait_until_settled(self.running.journal, incident.id, seconds, _progress(ctx), after):
            return self._concluded(incident.id)
        return tell(
            [*([said] if said else []), f"{'Still at work' if wait else 'At work'} on {incident.id}: {incident.title}"],
            incident=incident.id,
            status=find_incident(self.running.journal, incident.id).status.value,
            hint=f"follow_investigation {incident.id} says what it notes, read_packet what came of it.",
        )

    def _note_snapshot(self, trigger: Trigger) -> None:
        """Note where the telemetry is before there is an incident: whoever finds the incident knows it then."""
        for alert in trigger.alerts if trigger.snapshot else ():
            incident = new_incident(alert, trigger.seen)
            read_from_snapshot(self.running.journal, incident.id, trigger.snapshot or Path())

    def _concluded(self, name: str) -> types.CallToolResult:
        now = find_incident(self.running.journal, name)
        lines = packet(now, self.running.journal).split("\n")
        return tell(lines, incident=name, status=now.status.value)


def _asking(running: Running) -> Callable[..., types.CallToolResult]:
    """Return the tool that asks; the question is put by the client before the tool's own body runs."""

    def ask(ctx: Context, incident: str) -> Elicit[Approval] | NotAsked:
        return question(ctx, running.journal, find_incident(running.journal, incident))

    def request_approval(
        ctx: Context,
        answered: Annotated[ElicitationResult[Approval], Resolve(ask)],
        incident: IncidentName = "",
    ) -> types.CallToolResult:
        """Show the person at this client the whole plan and let them approve or reject it. No argument decides."""
        found = find_incident(running.journal, incident)
        given: object = answered.data if isinstance(answered, AcceptedElicitation) else None
        if isinstance(given, NotAsked):
            return tell(given.lines, incident=found.id, decided=False)
        if not isinstance(given, Approval):
            said = f"The person gave no answer ({answered.action}): nothing was decided, the plan goes on waiting."
            return tell([said], incident=found.id, decided=False)
        return _decided(running, found, given, who_is_at(ctx))

    return request_approval


def _decided(running: Running, incident: Incident, given: Approval, by: str) -> types.CallToolResult:
    """Put a person's answer on record, and have the plan carried out if it is a yes. Raises `HostError`."""
    reason = given.reason or "answered in their client"
    decision = decide_by_name(
        running.journal, incident.id, given.plan, approved=given.answer == "yes", by=by, reason=reason
    )
    if decision.approved:
        running.begin(incident)
    return tell(plan_lines(running.journal, incident), incident=incident.id, decided=True, approved=decision.approved)


def _progress(ctx: Context) -> Say:
    async def say(number: int, line: str) -> None:
        await ctx.report_progress(number, message=line)

    return say
