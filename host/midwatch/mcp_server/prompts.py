"""Prompts for the questions of the night, filled from the journal: a model that gets one need not look anything up.

They tell what the records say and what to do with it; they add no judgement of their own.
"""

from typing import Annotated, Any

from mcp.server import MCPServer
from pydantic import Field

from midwatch.chat.answers import from_the_journal
from midwatch.chat.handles import line
from midwatch.errors import UnknownIncident
from midwatch.mcp_server.running import Running
from midwatch.reading.lines import conclusion_lines, plan_lines, stands
from midwatch.reading.packet import packet
from midwatch.storage.named import find_incident

IncidentName = Annotated[str, Field(description="an incident's id, or its end; the latest when left out")]
_MOST_CHARS = 12_000
_NOTHING = "midwatch has no incident on record. If something is wrong, start one with start_investigation."


def offer_prompts(server: MCPServer[Any], running: Running) -> None:
    """Offer the prompts."""

    @server.prompt(title="What is going on?")
    def what_is_going_on(incident: IncidentName = "") -> str:
        """An incident as it stands, for somebody who has just arrived."""
        task = "Tell me in a few sentences what is going on, how sure that is, and what I have to decide. Cite [E…]."
        return _filled(running, incident, task, "stands", "packet")

    @server.prompt(title="What changed?")
    def what_changed(incident: IncidentName = "") -> str:
        """The changes around an incident, and how each fared as a suspect."""
        task = "Tell me what changed before this began, which change is the likeliest cause, and why not the others."
        return _filled(running, incident, task, "changes", "conclusion")

    @server.prompt(title="Hand over")
    def hand_over(incident: IncidentName = "") -> str:
        """Everything the next person on call needs."""
        task = "Write a hand-over for the next person on call: state, cause, what was ruled out, plan, what is open."
        return _filled(running, incident, task, "stands", "conclusion", "plan", "missing")


def _filled(running: Running, name: str, task: str, *parts: str) -> str:
    """Return a task with parts of an incident's records below it, bounded."""
    journal = running.journal
    try:
        found = find_incident(journal, name)
    except UnknownIncident as error:
        return f"{_NOTHING}\n({error})"
    texts = {
        "stands": lambda: stands(journal, found, runs=running.runs(found.id)),
        "packet": lambda: packet(found, journal).split("\n"),
        "changes": lambda: [*map(line, from_the_journal(journal, found, "what changed"))],
        "conclusion": lambda: conclusion_lines(journal, found.id),
        "plan": lambda: plan_lines(journal, found),
        "missing": lambda: [*map(line, from_the_journal(journal, found, "what is missing"))],
    }
    said = [f"## {part}\n" + "\n".join(texts[part]()) for part in parts]
    rule = "Say nothing that these records do not say. More is in midwatch's tools: ask_investigation, read_evidence."
    return "\n\n".join([task, rule, *said])[:_MOST_CHARS]
