"""Asking the person at a client about a plan, by a form that their client shows (MCP elicitation).

The answer is bound to the plan that was shown: a class of its own for each question carries the digest. Where no form
can be shown, or there is nothing to decide, the reason is given instead and nothing is asked.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit
from pydantic import BaseModel, ConfigDict, Field

from midwatch.mitigation.approvals import decision_on, told_of
from midwatch.reading.lines import plan_lines, plan_state
from midwatch.records import Call, Incident, Plan
from midwatch.storage.journal import Journal


class Approval(BaseModel):
    """The form: whether the whole plan may run."""

    model_config = ConfigDict(title="Approval")

    plan: ClassVar[str] = ""
    answer: Literal["no", "yes"] = Field(description="yes lets midwatch run the whole plan; no rejects it for good")
    reason: str = Field("", max_length=500, description="why, for the record")


@dataclass(frozen=True)
class NotAsked:
    """Why nobody was asked, in lines for whoever called."""

    lines: tuple[str, ...]


def question(context: Context, journal: Journal, incident: Incident) -> Elicit[Approval] | NotAsked:
    """Return the form for an incident's latest plan, or why nobody is asked."""
    plans = journal.values(incident.id, Plan)
    if not plans:
        return NotAsked(("There is no plan yet: follow_investigation until there is one.",))
    if not plans[-1].steps or decision_on(journal, incident.id, plans[-1]):
        return NotAsked((*plan_lines(journal, incident), *_way_on(journal, incident, plans[-1])))
    if not _can_show_forms(context):
        return NotAsked((*plan_lines(journal, incident), *_by_hand(incident, plans[-1])))

    class Bound(Approval):
        plan: ClassVar[str] = plans[-1].digest

    return Elicit(_shown(incident, plans[-1]), Bound)


def who_is_at(context: Context) -> str:
    """Return how the person at a client goes on record; a client is known by the name that it gives itself."""
    params = context.session.client_params
    return f"the person at {params.client_info.name[:60]}" if params else "the person at an MCP client"


def _shown(incident: Incident, plan: Plan) -> str:
    """Return the whole plan, with every call and every argument: what is approved is what is shown here."""
    lines = [
        "midwatch asks you to let it change production. You approve or reject the plan as a whole.",
        f"Incident {incident.id}: {incident.title} ({incident.service})",
        f"Plan: {plan.action}",
        f"Why: {plan.reasoning}",
        f"Risk: {plan.risk}",
        f"Touches: {', '.join(plan.blast_radius) or 'nothing beyond it is known to be touched'}",
    ]
    for number, step in enumerate(plan.steps, start=1):
        whose = ", a model's" if step.by == "model" else ""
        lines.append(f"{number}. [{step.phase}, {step.safety}{whose}] {step.title}; expected: {step.expect}")
        lines += [f"   {name}: {_called(call)}" for name, call in (("call", step.call), ("undo", step.inverse)) if call]
        lines += [f"   {name}: {text}" for name, text in told_of(step).items()]
    return "\n".join([*lines, f"Digest: {plan.digest}"])


def _called(call: Call) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in sorted(call.arguments.items()))
    return f"{call.server}.{call.tool}({arguments})"


def _way_on(journal: Journal, incident: Incident, plan: Plan) -> list[str]:
    if not plan.steps:
        return []
    said = f"It was decided: {plan_state(journal, incident, plan)}. A decision stays."
    return [said, "steer_investigation starts a further look, which ends in a plan of its own."]


def _by_hand(incident: Incident, plan: Plan) -> list[str]:
    return [
        "This client cannot show its person a form, so nobody was asked and nothing was decided.",
        "A person approves it at a terminal, with midwatch's settings:",
        f"  midwatch approve {incident.id} {plan.digest[:12]}",
        f"or rejects it: midwatch reject {incident.id} {plan.digest[:12]}",
    ]


def _can_show_forms(context: Context) -> bool:
    """Whether the client said that it can: one that names no mode can show forms, as before there were modes."""
    known = context.client_capabilities
    elicits = known.elicitation if known else None
    return elicits is not None and (elicits.form is not None or elicits.url is None)
