"""The spans of the latest look of an investigation, from its records: the look, its stages, subagents, calls.

Names and attributes are those of OpenTelemetry's conventions for MCP and generative AI, where there are any. What was
asked and answered is in none of them: that is in the journal, and in the evidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from midwatch.storage.journal import Entry

Attribute = str | int | float | bool
_STAGES: Final = (
    ("scope", "topology"),
    ("survey", "hypothesis"),
    ("test", "verdict"),
    ("conclude", "conclusion"),
    ("plan", "plan"),
    ("decide", "decision"),
    ("carry out", "action"),
    ("report", "report"),
)
"""Each stage with the type of the records that end it."""
_SUBAGENTS: Final = ("subagent ", "challenger of ", "the model: ")
_TESTS: Final = "test"


@dataclass(frozen=True)
class Spanned:
    """A span: `parent` is the key of another one, '' for the look itself; a `client` asks somebody else."""

    key: str
    parent: str
    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: str = ""
    client: bool = False


def spans_of(entries: Sequence[Entry]) -> list[Spanned]:
    """Return the spans of the look that ended last, parents before children; none where nothing ended."""
    ends = [place for place, entry in enumerate(entries) if entry.type == "report"]
    done = ends[-1] if ends else len(entries) - 1
    first = ends[-2] + 1 if len(ends) > 1 else 0
    look = [*entries[first : done + 1]]
    if not look:
        return []
    whole = _whole(look, entries, len(ends) or 1)
    stages = [*_stages(look, whole)]
    calls = [entry for entry in look if entry.type in ("tool_call", "model_call")]
    agents = {span.attributes["gen_ai.agent.name"]: span for span in _agents(calls, stages, whole)}
    return [whole, *stages, *agents.values(), *(_call(entry, agents, stages, whole) for entry in calls)]


def _whole(look: Sequence[Entry], entries: Sequence[Entry], number: int) -> Spanned:
    incident = next((entry.body for entry in reversed(entries) if entry.type == "incident"), {})
    report = look[-1].body if look[-1].type == "report" else {}
    return Spanned(
        key=f"look {number}",
        parent="",
        name="investigation",
        start=look[0].at,
        end=look[-1].at,
        attributes=_told(
            {
                "midwatch.incident.id": look[0].investigation,
                "midwatch.incident.service": incident.get("service"),
                "midwatch.incident.severity": incident.get("severity"),
                "midwatch.incident.status": incident.get("status"),
                "midwatch.look": number,
                "midwatch.outcome": report.get("outcome"),
                "midwatch.mitigated": report.get("mitigated"),
            }
        ),
        error=str(incident.get("reason") or "it failed") if incident.get("status") == "failed" else "",
    )


def _stages(look: Sequence[Entry], whole: Spanned) -> Iterator[Spanned]:
    """Yield each stage that came to an end, from the end of the one before."""
    start = whole.start
    for name, kind in _STAGES:
        last = [entry.at for entry in look if entry.type == kind]
        if last and max(last) >= start:
            end = max(last) if name in (_TESTS, "carry out") else max(start, min(last))
            yield Spanned(f"{whole.key} {name}", whole.key, name, start, end)
            start = end


def _agents(calls: Sequence[Entry], stages: Sequence[Spanned], whole: Spanned) -> Iterator[Spanned]:
    """Yield each subagent that asked anything, from its first call to the end of its last."""
    for actor in dict.fromkeys(entry.actor for entry in calls if entry.actor.startswith(_SUBAGENTS)):
        own = [entry for entry in calls if entry.actor == actor]
        start, end = min(_began(entry) for entry in own), max(entry.at for entry in own)
        parent = _around(end, stages, whole)
        yield Spanned(f"{whole.key} {actor}", parent, actor, start, end, {"gen_ai.agent.name": actor})


def _call(entry: Entry, agents: Mapping[Attribute, Spanned], stages: Sequence[Spanned], whole: Spanned) -> Spanned:
    body, began = entry.body, _began(entry)
    parent = agents[entry.actor].key if entry.actor in agents else _around(entry.at, stages, whole)
    if entry.type == "tool_call":
        name = f"tools/call {body.get('tool')}"
        told = {
            "mcp.method.name": "tools/call",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": body.get("tool"),
            "midwatch.server": body.get("server"),
        }
    else:
        name = f"chat {body.get('model')}"
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": body.get("model"),
            "gen_ai.usage.input_tokens": body.get("input_tokens"),
            "gen_ai.usage.output_tokens": body.get("output_tokens"),
            "gen_ai.usage.cache_read.input_tokens": body.get("cache_read_tokens"),
            "gen_ai.usage.cache_creation.input_tokens": body.get("cache_write_tokens"),
            "midwatch.cost.usd": body.get("usd"),
        }
    error = str(body.get("error") or "")
    key = f"{whole.key} {entry.seq}"
    more = {"error.type": "tool_error" if entry.type == "tool_call" else "model_error"} if error else {}
    return Spanned(key, parent, name, began, entry.at, {**_told(told), **more}, error, client=True)


def _around(moment: datetime, stages: Sequence[Spanned], whole: Spanned) -> str:
    """Return the stage that a moment is in."""
    return next((stage.key for stage in stages if stage.start <= moment <= stage.end), whole.key)


def _began(entry: Entry) -> datetime:
    seconds = entry.body.get("seconds")
    return entry.at - timedelta(seconds=float(seconds) if isinstance(seconds, int | float) else 0.0)


def _told(attributes: Mapping[str, JsonValue]) -> dict[str, Attribute]:
    return {name: value for name, value in attributes.items() if isinstance(value, str | int | float | bool)}
