"""House rules that require: what must have been asked or tested before a cause is called the root cause.

Code asks what it can by itself: a tool of which it knows every required argument. What is missing then caps the
outcome, and is said, with the file that requires it. A rule can ask for more; it cannot have a tool used that writes,
that the settings do not allow, or that another rule forbids, and it is paid from the budget that there is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from midwatch.builtin.caps import highest
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import Cause, Conclusion, Gap, Hypothesis, Limit, Outcome, Scope, ToolCall, Verdict
from midwatch.records.conclusion import NextCheck
from midwatch.settings.channels import TELLING
from midwatch.steering.files import Requirement, Steering
from midwatch_kit.records import EntityId
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

_BY = "house rules"
_RULE = "house rule "
_AFTERWARDS = "what the team wants known before a cause is called the root cause"


@dataclass(frozen=True)
class Unmet:
    """A requirement that is not met: the file that has it, what it is, and why it is not."""

    file: str
    requirement: Requirement
    why: str

    @property
    def gap(self) -> Gap:
        """What is missing, as it is reported."""
        hides = self.requirement.because or _AFTERWARDS
        return Gap(what=f"{_RULE}{self.file}: {self.requirement.named}", why=self.why, may_hide=hides)

    @property
    def next_check(self) -> NextCheck:
        """What would meet it."""
        do = f"ask {self.requirement.named}" if self.requirement.tool else f"find out about {self.requirement.named}"
        why = f"{self.file} requires it before a cause is called the root cause"
        return NextCheck(what=do, why=why, cost="one look")


async def ask_required(inquiry: Inquiry, scope: Scope, steering: Iterable[Steering]) -> None:
    """Ask the tools that house rules require, as far as nobody asked them and code knows how."""
    for file in steering:
        for requirement in file.require:
            for subject in _subjects(requirement, scope) if requirement.tool else ():
                if not _is_asked(inquiry, requirement, subject if requirement.services else ""):
                    await _ask_one(inquiry, scope, requirement, subject)


def unmet(
    inquiry: Inquiry, scope: Scope, steering: Iterable[Steering], tested: Sequence[tuple[Hypothesis, Verdict]]
) -> list[Unmet]:
    """Return the requirements of house rules that are not met."""
    found = []
    for file in steering:
        for requirement in file.require:
            asked = _not_asked(inquiry, scope, requirement) if requirement.tool else ""
            why = asked or ("" if requirement.tool else _not_tested(requirement, scope, tested))
            found += [Unmet(file.name, requirement, why)] if why else []
    return found


def of_other_looks(gaps: Iterable[Gap]) -> list[Gap]:
    """Return gaps without those of house rules, since an earlier look's may be closed by now, and of telling people."""
    return [gap for gap in gaps if not gap.what.startswith((_RULE, TELLING))]


def capped(conclusion: Conclusion, missing: Sequence[Unmet]) -> Conclusion:
    """Return a conclusion that is no more than a best effort where house rules require what is missing."""
    if not missing or conclusion.outcome not in (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT):
        return conclusion
    files = ", ".join(dict.fromkeys(one.file for one in missing))
    said = f"{conclusion.statement}; it is not called the root cause, since {files} requires what is missing"
    return conclusion.model_copy(
        update={
            "outcome": Outcome.BEST_EFFORT,
            "statement": said if conclusion.outcome is Outcome.ROOT_CAUSE else conclusion.statement,
            "root_causes": tuple(map(_capped, conclusion.root_causes)),
            "next_checks": (*(one.next_check for one in missing), *conclusion.next_checks),
        }
    )


def _capped(cause: Cause) -> Cause:
    most = highest(Limit.HOUSE_RULE)
    if cause.confidence <= most:
        return cause
    return cause.model_copy(update={"confidence": most, "limited_by": Limit.HOUSE_RULE})


def _subjects(requirement: Requirement, scope: Scope) -> list[str]:
    """Return the services that a tool is to be asked about: those that the rule names, or the one that hurts."""
    return [*requirement.services] or [scope.symptom.partition(":")[2]]


async def _ask_one(inquiry: Inquiry, scope: Scope, requirement: Requirement, subject: str) -> None:
    """Ask the first tool that the rule can mean, answers, and needs nothing that code does not know."""
    for tool in _meant(inquiry, requirement):
        arguments, lacking = _filled(tool, scope, subject)
        if not lacking and await inquiry.ask(tool, arguments, _BY):
            return


def _meant(inquiry: Inquiry, requirement: Requirement) -> list[Tool]:
    """Return the reading tools that a rule's pattern names; a survey was asked in any case."""
    named = [tool for tool in inquiry.eyes.all() if requirement.names(tool.server, tool.name)]
    return [tool for tool in named if tool.role is not Role.SURVEY]


def _filled(tool: Tool, scope: Scope, subject: str) -> tuple[dict[str, JsonValue], list[str]]:
    """Return the arguments that code knows, and the names of required ones that it does not."""
    properties, required = tool.schema.get("properties"), tool.schema.get("required")
    known = _known(scope, subject)
    takes = properties if isinstance(properties, dict) else {}
    filled = {name: known[name] for name, told in takes.items() if name in known and _fits(told, known[name])}
    return filled, [str(n) for n in required if n not in filled] if isinstance(required, list) else []


def _known(scope: Scope, subject: str) -> dict[str, JsonValue]:
    entity = subject if ":" in subject else f"service:{subject}"
    bare = entity.partition(":")[2]
    return {
        "start": rfc3339(scope.window.start),
        "end": rfc3339(scope.window.end),
        "baseline_start": rfc3339(scope.baseline.start),
        "baseline_end": rfc3339(scope.baseline.end),
        "entity": entity,
        "entities": [entity],
        "service": bare,
        "services": [bare],
    }


def _fits(told: JsonValue, value: JsonValue) -> bool:
    """Whether a value is of the type that a schema declares; one that declares none takes anything."""
    declared = told.get("type") if isinstance(told, dict) else None
    return declared in (None, "array" if isinstance(value, list) else "string")


def _calls(inquiry: Inquiry, requirement: Requirement) -> list[ToolCall]:
    every = inquiry.journal.values(inquiry.investigation, ToolCall)
    return [call for call in every if requirement.names(call.server, call.tool)]


def _is_asked(inquiry: Inquiry, requirement: Requirement, service: str) -> bool:
    answered = (call for call in _calls(inquiry, requirement) if call.evidence)
    return any(not service or {service, f"service:{service}"} & {*_texts(call.arguments)} for call in answered)


def _texts(value: JsonValue | Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield every text in arguments."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _not_asked(inquiry: Inquiry, scope: Scope, requirement: Requirement) -> str:
    """Return why a tool that had to be asked has not answered, or ''."""
    lacking = [s for s in requirement.services or ("",) if not _is_asked(inquiry, requirement, s)]
    if not lacking:
        return ""
    named = [tool for tool in inquiry.eyes.all() if requirement.names(tool.server, tool.name)]
    if not named:
        return _not_offered(inquiry, requirement)
    if no := next((why for tool in named if (why := inquiry.forbidden(tool.server, tool.name))), ""):
        return f"it was not asked: {no}"
    if failed := [call for call in _calls(inquiry, requirement) if call.error]:
        return f"it did not answer: {failed[-1].error}"
    needs = [", ".join(names) for tool in named if (names := _filled(tool, scope, lacking[0] or scope.symptom)[1])]
    about = f" about {', '.join(lacking)}" if lacking[0] else ""
    return f"nobody asked it{about}" + (f": code does not know its {needs[0]}" if needs else "")


def _not_offered(inquiry: Inquiry, requirement: Requirement) -> str:
    """Return why no tool that a rule names may be asked."""
    barred = [s for s in inquiry.eyes.standings() if requirement.names(s.server, s.tool)]
    why = next((s.why for s in barred if s.why), "it is no tool that only reads")
    return f"it may not be asked: {why}" if barred else "no server here offers it"


def _not_tested(requirement: Requirement, scope: Scope, tested: Sequence[tuple[Hypothesis, Verdict]]) -> str:
    """Return why a cause that had to be tested came out neither way, or ''."""
    known: set[EntityId] = {entity.id for entity in scope.topology.entities}
    if requirement.entity not in known:
        return "it was not tested: no server here knows the entity"
    own = [verdict for h, verdict in tested if (h.kind, h.entity) == (requirement.kind, requirement.entity)]
    if not own:
        return "it was not tested: the entity is left out"
    open_ones = [verdict for verdict in own if verdict.result == "inconclusive"]
    return f"it was tested, and came out neither way: {open_ones[0].reason}" if len(open_ones) == len(own) else ""
