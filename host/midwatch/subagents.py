"""Subagents: each tests one hypothesis by drilling down, with a budget of its own and eyes only.

A subagent gathers further observations; the verdict follows from all of them by rule. One that runs out of time
or budget leaves a gap, and what it had found so far still counts.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from midwatch.builtin.scene import Scene
from midwatch.builtin.vocabulary import alters_data, is_migration, names_in
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch.records import Hypothesis, Scope
from midwatch_kit.evidence import cite
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

_EXEMPLARS = 3
_MOST_FILES = 50


@dataclass
class Subagent:
    """One investigator of one hypothesis; `calls` is how many questions it may still ask, `found` what it has seen."""

    name: str
    hypothesis: Hypothesis
    scope: Scope
    inquiry: Inquiry
    calls: int
    found: list[Observation] = field(default_factory=list)

    async def drill(self, scene: Scene) -> None:
        """Take a closer look at the hypothesis."""
        await self._content()
        await self._exemplars(scene)

    async def challenge(self, scene: Scene) -> None:
        """Try to disprove the hypothesis: read failing traces from all over, not only those that begin in it."""
        await self._read_traces(i for begun in scene.beginnings.values() for i in _exemplar_ids(begun))

    async def _content(self) -> None:
        """Read what the change that the hypothesis starts from really changed."""
        trigger = self.hypothesis.trigger
        change = trigger.attributes.get("change_id") if trigger else None
        if trigger is None or not change:
            return
        answer = await self._fetch(Signal.CHANGES, "change_id", change, trigger.by)
        if answer and answer.rows:
            self.found += self.inquiry.checked([_content_of(self.hypothesis, change, answer)])

    async def _exemplars(self, scene: Scene) -> None:
        """Read a few of the failing traces that begin in the hypothesis' entity."""
        begun = scene.beginnings.get(scene.service_of(self.hypothesis.entity))
        await self._read_traces(_exemplar_ids(begun) if begun else [])

    async def _read_traces(self, ids: Iterable[str]) -> None:
        for trace in list(dict.fromkeys(ids))[:_EXEMPLARS]:
            answer = await self._fetch(Signal.TRACES, "trace_id", trace)
            if answer and (seen := _where_it_ends(answer, trace, self.name)):
                self.found += self.inquiry.checked([seen])

    async def _fetch(self, signal: Signal, key: str, value: str, told_by: str = "") -> Answer | None:
        tool = self._tool(signal, key, told_by)
        if tool is None:
            return None
        if self.calls <= 0:
            self.inquiry.gap(f"{self.name}: {tool.name} {value}", "its budget of calls is spent", "a closer look")
            return None
        self.calls -= 1
        times = {"start": rfc3339(self.scope.baseline.start), "end": rfc3339(self.scope.window.end)}
        where: dict[str, JsonValue] = {name: time for name, time in times.items() if name in tool.arguments}
        return await self.inquiry.ask(tool, {key: value, **where}, self.name)

    def _tool(self, signal: Signal, key: str, told_by: str) -> Tool | None:
        """Return the tool that fetches one thing, of the server that told of it where that one is known."""
        eyes = self.inquiry.eyes
        one_of_ours = any(tool.server == told_by for tool in eyes.tools(Role.SURVEY, signal))
        tools = eyes.tools(Role.DRILL_DOWN, signal, key)
        return next((tool for tool in tools if not one_of_ours or tool.server == told_by), None)


def _exemplar_ids(origin: Observation) -> list[str]:
    return [name for name in origin.attributes.get("exemplars", "").split(",") if name]


def _content_of(hypothesis: Hypothesis, change: str, answer: Answer) -> Observation:
    rows = answer.rows
    row = rows[0] if rows and isinstance(rows[0], dict) else {}
    diff = str(row.get("diff") or "")
    touched = "\n".join(line[1:] for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    names = sorted(names_in(touched or diff))
    files = row.get("files")
    told = ",".join(map(str, files[:_MOST_FILES])) if isinstance(files, list) else ""
    where = "/rows/0/diff" if diff else "/rows/0"
    return Observation(
        id=_id("content", change, answer.evidence),
        entity=hypothesis.entity,
        signal=Signal.CHANGES,
        kind=ObservationKind.CHANGE,
        subject="content",
        statement=f"the change touches {', '.join(names[:6]) or 'nothing that has a name'}"[:200],
        onset=hypothesis.trigger.onset if hypothesis.trigger else None,
        attributes={
            "change_id": change,
            "names": ",".join(names[:200]),
            "alters_data": _altering(row, diff),
            "files": told,
        },
        citations=cite(answer.evidence, {"rows": rows}, [where]),
        by=hypothesis.id,
    )


def _altering(row: Mapping[str, JsonValue], diff: str) -> str:
    """Return by what a change alters how data are kept, if it does: a file of it, or the statements in its diff."""
    files = row.get("files")
    migrations = [str(file) for file in files if is_migration(str(file))] if isinstance(files, list) else []
    return migrations[0] if migrations else "statements in its diff" if alters_data(diff) else ""


def _where_it_ends(answer: Answer, trace: str, by: str) -> Observation | None:
    """Return the place in which a failing trace's deepest failing span lies, from its spans."""
    spans = {n: row for n, row in enumerate(answer.rows) if isinstance(row, dict) and "span_id" in row}
    failing = {n: row for n, row in spans.items() if row.get("status") == "Error"}
    parents = {row.get("parent_span_id") for row in failing.values()}
    deepest = [n for n, row in failing.items() if row["span_id"] not in parents]
    if not deepest:
        return None
    at = deepest[0]
    entity = _place(spans[at])
    return Observation(
        id=_id("exemplar", trace, answer.evidence),
        entity=entity,
        signal=Signal.TRACES,
        kind=ObservationKind.ERROR_TRACE,
        subject="exemplar",
        statement=f"trace {trace[:8]} ends in {entity}, in {spans[at].get('name')}"[:200],
        attributes={"trace_id": trace},
        citations=cite(answer.evidence, {"rows": answer.rows}, [f"/rows/{at}/service", f"/rows/{at}/status"]),
        by=by,
    )


def _place(span: Mapping[str, JsonValue]) -> EntityId:
    instance = span.get("instance")
    return f"instance:{instance}" if instance else f"service:{span.get('service')}"


def _id(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:26]
