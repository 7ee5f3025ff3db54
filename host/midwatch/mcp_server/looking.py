"""The tools that only read: incidents, packets, conclusions, plans, records, evidence, topology; and answers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from mcp import types
from mcp.server.mcpserver import Context
from pydantic import Field

from midwatch.chat.handles import is_evidence, names_record, opened
from midwatch.chat.questions import LONGEST
from midwatch.mcp_server.asking import who_is_at
from midwatch.mcp_server.following import wait_for_news
from midwatch.mcp_server.reply import BUDGET_CHARS, fitting, offered, tell
from midwatch.mcp_server.running import Running
from midwatch.reading.handout import handout
from midwatch.reading.lines import (
    conclusion_lines,
    in_a_line,
    plan_lines,
    record_line,
    stands,
)
from midwatch.reading.packet import drawn, packet
from midwatch.reading.recommendations import find, in_short, standing
from midwatch.records import Incident, Plan, RecordType
from midwatch.storage.named import find_incident
from midwatch_kit.errors import BadInput
from midwatch_kit.strict import StrictTool
from midwatch_kit.window import resolve_window
from midwatch_topology import Topology, to_json, to_mermaid

IncidentName = Annotated[str, Field(description="an incident's id, or its end; the latest when left out")]
Question = Annotated[str, Field(min_length=1, max_length=LONGEST, description="in plain words, with names as they are")]
Model = Annotated[bool, Field(description="also ask a model, if midwatch has one, where code has an answer")]
_PATIENT_SECONDS = 330.0
"""Servers come up, then they are asked, then a model may be: each within limits of its own."""
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


@dataclass(frozen=True)
class Looking:
    """The reading tools over what runs here and what the journal holds."""

    running: Running

    def tools(self) -> list[StrictTool]:
        """Return the tools, in the order in which they are listed."""
        return [
            offered(self.list_incidents, "List incidents"),
            offered(self.read_incident, "Where an incident stands"),
            offered(self.follow_investigation, "Follow an investigation", seconds=65),
            offered(self.read_packet, "Read the packet"),
            offered(self.read_conclusion, "Read the conclusion"),
            offered(self.read_plan, "Read the plan"),
            offered(self.read_records, "Read records"),
            offered(self.read_evidence, "Read evidence"),
            offered(self.list_recommendations, "List recommendations"),
            offered(self.read_recommendation, "Read a recommendation"),
            offered(self.ask_investigation, "Ask about an investigation", world=True, seconds=_PATIENT_SECONDS),
            offered(self.ask_environment, "Ask about the environment", world=True, seconds=_PATIENT_SECONDS),
            offered(self.draw_topology, "Draw the topology", world=True, seconds=120),
            offered(self.trace_harm, "Trace harm", world=True, seconds=120),
        ]

    def list_incidents(self, cursor: Cursor = None) -> types.CallToolResult:
        """List incidents, the latest first, and which of them nobody has finished."""
        journal = self.running.journal
        known = reversed(journal.incidents())
        lines = [in_a_line(journal, incident, runs=self.running.runs(incident.id)) for incident in known]
        return tell(lines, cursor=cursor, hint=None if lines else "None on record: start_investigation begins one.")

    def read_incident(self, incident: IncidentName = "") -> types.CallToolResult:
        """Say where an incident stands, what was found so far, and what can be done next."""
        found = self._find(incident)
        lines = stands(self.running.journal, found, runs=self.running.runs(found.id))
        return tell(lines, incident=found.id, status=found.status.value)

    async def follow_investigation(
        self,
        incident: IncidentName = "",
        after: Annotated[int, Field(ge=0, description="`after` of the last reply; 0 is from the beginning")] = 0,
        wait_seconds: Annotated[
            float, Field(ge=0, le=55, description="how long to wait for news, if there is none")
        ] = 0,
    ) -> types.CallToolResult:
        """Say what an investigation has noted since a place in its journal; waits for news if asked to."""
        found, journal = self._find(incident), self.running.journal
        told, under_way = await wait_for_news(journal, found.id, after, wait_seconds)
        shown = fitting([line for _, line in told.lines])
        cut = len(shown) < len(told.lines)
        return tell(
            shown,
            incident=found.id,
            status=self._find(found.id).status.value,
            records=told.records,
            after=told.lines[len(shown) - 1][0] if cut else told.cursor,
            under_way=under_way or cut,
            hint="There is more: follow again with this `after`." if cut else None,
        )

    def read_packet(self, incident: IncidentName = "") -> types.CallToolResult:
        """Read the incident packet: what a person reads first. Each line says what it rests on."""
        found = self._find(incident)
        lines = packet(found, self.running.journal).split("\n")
        return tell(lines, incident=found.id, status=found.status.value)

    def read_conclusion(self, incident: IncidentName = "", cursor: Cursor = None) -> types.CallToolResult:
        """Read the conclusion: causes with path and evidence, what was ruled out and why, gaps, next checks."""
        found = self._find(incident)
        lines = conclusion_lines(self.running.journal, found.id)
        return tell(lines, cursor=cursor, incident=found.id, status=found.status.value)

    def read_plan(self, incident: IncidentName = "") -> types.CallToolResult:
        """Read the mitigation plan as a whole, with its digest and what was decided. Only a person can approve it."""
        found, journal = self._find(incident), self.running.journal
        digests = [plan.digest for plan in journal.values(found.id, Plan)]
        facts = {"digest": digests[-1]} if digests else {}
        return tell(plan_lines(journal, found), incident=found.id, status=found.status.value, **facts)

    def read_records(
        self,
        incident: IncidentName = "",
        kind: Annotated[RecordType | None, Field(description="only records of this type")] = None,
        cursor: Cursor = None,
    ) -> types.CallToolResult:
        """Read the journal itself, record by record, as JSON lines; long ones whole in the resources."""
        found = self._find(incident)
        entries = self.running.journal.entries(found.id, kind=kind)
        hint = f"Whole records, 50 a page: midwatch://incident/{found.id}/records/0"
        return tell(map(record_line, entries), cursor=cursor, incident=found.id, hint=hint)

    def read_evidence(
        self,
        evidence: Annotated[
            str,
            Field(description="what a line cites: an id or its first 8 digits, a place in it (0656d7f6/rows/1), r37"),
        ],
        incident: IncidentName = "",
        page: Annotated[int, Field(ge=0, description="page of the document, from 0")] = 0,
    ) -> types.CallToolResult:
        """Read what a claim cites, a page at a time: stored bytes, a place in them, or a record of an incident."""
        if not is_evidence(evidence):
            found = find_incident(self.running.journal, incident) if names_record(evidence) else None
            value = opened(evidence, self.running.kept, self.running.journal, found)
            text = json.dumps(value, ensure_ascii=False, indent=1)
            return tell(_page(text, page), evidence=evidence, page=page, pages=_pages(text))
        name = self.running.kept.named(evidence)
        text = self.running.kept.get(name).decode("ascii")
        return tell(_page(text, page), evidence=name, page=page, pages=_pages(text))

    async def ask_investigation(
        self,
        ctx: Context,
        question: Question,
        incident: IncidentName = "",
        look: Annotated[bool, Field(description="also ask the servers afresh; the person wants that")] = False,
        model: Model = False,
        cursor: Cursor = None,
    ) -> types.CallToolResult:
        """Ask about an investigation: why not X, what changed, what was seen at X, the plan, how to undo it, the cost…

        Answered from its journal, with what each line rests on; with `look` also from the servers. Both are kept.
        """
        return await self._answered(ctx, self._find(incident), question, cursor, look=look, model=model)

    async def ask_environment(
        self, ctx: Context, question: Question, model: Model = False, cursor: Cursor = None
    ) -> types.CallToolResult:
        """Ask about the application, without an incident: what depends on X, who owns X, what runs where, how is X now,
        what changed at X in the last hour. Servers are asked afresh.
        """
        return await self._answered(ctx, None, question, cursor, look=True, model=model)

    async def _answered(
        self, ctx: Context, incident: Incident | None, question: str, cursor: str | None, *, look: bool, model: bool
    ) -> types.CallToolResult:
        """Return an answer, or with a cursor the further page of one that was given before."""
        talk = self.running.talk
        given = talk.answered(question, incident) if cursor else None
        reply = given or await talk.ask(question, incident, look=look, model=model, by=who_is_at(ctx))
        by = ", ".join(reply.answered_by)
        facts = {"incident": incident.id} if incident else {}
        hint = "What a line cites: read_evidence." if by else None
        return tell(
            reply.lines, cursor=cursor, hint=hint, answered_by=by, dropped=reply.dropped, usd=reply.usd, **facts
        )

    def list_recommendations(self, cursor: Cursor = None) -> types.CallToolResult:
        """List what would have prevented incidents, the most useful first, with what was decided on it."""
        known = standing(self.running.journal, datetime.now(UTC))
        lines = [in_short(each) for each in known]
        return tell(lines, cursor=cursor, hint=None if lines else "None yet: they come with causes that were found.")

    def read_recommendation(
        self,
        recommendation: Annotated[str, Field(description="its id, or the beginning of it")],
        cursor: Cursor = None,
    ) -> types.CallToolResult:
        """Read a recommendation as a coding agent needs it: problem, change, files, tests, stages, evidence."""
        journal = self.running.journal
        found = find(journal, recommendation, datetime.now(UTC))
        lines = handout(found, journal).split("\n")
        return tell(lines, cursor=cursor, recommendation=found.id, status=found.status)

    async def draw_topology(
        self,
        incident: Annotated[str, Field(description="as this incident saw it; now, when left out")] = "",
        around: Annotated[str, Field(description="only what is this near to an entity; all, when left out")] = "",
        form: Literal["mermaid", "json"] = "mermaid",
        cursor: Cursor = None,
    ) -> types.CallToolResult:
        """Draw what the application is made of, whole or around an entity, as Mermaid or JSON."""
        graph, path = await self._graph(incident)
        if around:
            middle = graph.find(around)
            graph = graph.within([middle, *graph.depends_on(middle), *graph.dependents(middle)])
        marked = [entity for entity in path if entity in graph]
        text = to_mermaid(graph, marked) if form == "mermaid" else to_json(graph, indent=1)
        return tell(text.rstrip().split("\n"), cursor=cursor, entities=len(graph.entities), form=form)

    async def trace_harm(
        self,
        entity: Annotated[str, Field(description="what breaks: an entity's id, or its bare name")],
        to: Annotated[str, Field(description="what it may hurt; everything that it hurts, when left out")] = "",
        incident: Annotated[str, Field(description="as this incident saw it; now, when left out")] = "",
    ) -> types.CallToolResult:
        """Say what is hurt when an entity breaks (its blast radius), or by which paths harm gets from it to another."""
        graph, _ = await self._graph(incident)
        cause = graph.find(entity)
        if not to:
            hurt = [f"{name}, {hops} away" for name, hops in graph.blast_radius(cause).items()]
            return tell(hurt or [f"Nothing is known to be hurt by {cause}."], entity=cause)
        paths = graph.paths(cause, graph.find(to))
        return tell([" → ".join(path.entities) for path in paths] or ["There is no path."], entity=cause)

    async def _graph(self, incident: str) -> tuple[Topology, tuple[str, ...]]:
        if incident:
            return drawn(self._find(incident).id, self.running.journal)
        host = await self.running.host()
        return await host.topology(resolve_window("-1h", "now")), ()

    def _find(self, incident: str) -> Incident:
        return find_incident(self.running.journal, incident)


def _pages(text: str) -> int:
    return max(1, -(-len(text) // BUDGET_CHARS))


def _page(text: str, page: int) -> list[str]:
    if page >= (pages := _pages(text)):
        raise BadInput(f"it has pages 0 to {pages - 1}, not {page}")
    shown = text[page * BUDGET_CHARS : (page + 1) * BUDGET_CHARS]
    return [shown[at : at + 500] for at in range(0, len(shown), 500)]
