"""A model's part in the plan and in the long-term fix: proposed with quotes, let in by code, marked as a model's.

What it says goes through `builtin.admission`; what does not stand is dropped and counted. It calls none of the tools
that it names.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from midwatch.builtin.admission import Admission, Proposed, ProposedPhase
from midwatch.claude.agent import Ability, Ended
from midwatch.claude.conversation import Told
from midwatch.claude.model import Block
from midwatch.claude.picking import name_of, schema_of, words_of
from midwatch.claude.prompts import prompt
from midwatch.claude.reasoner import Means
from midwatch.claude.untrusted import shortened, visible
from midwatch.mcp_client.toolbox import Tool
from midwatch.mitigation.approvals import plan_text
from midwatch.records import Call, Condition, Plan, Step
from midwatch.records.recommendation import Fix
from midwatch.storage.privacy import hidden
from midwatch_kit.records import Citation, Observation, Record, Signal

MOST_STEPS: Final = 6
_MOST_ITEMS: Final = 8
_WORDS: Final = 300
_TEXT: Final = 1_200
_HANDS_CHARS: Final = 6_000
_SHOWN: Final = 8
_IN_DIFF: Final = re.compile(r"^(?:\+\+\+|---) [ab]/(\S+)", re.MULTILINE)
_PHASES: Final[Mapping[str, ProposedPhase]] = {
    "pre_validate": "pre_validate",
    "apply": "apply",
    "post_validate": "post_validate",
}
_TEXT_TYPE: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT_TYPE, "maxItems": _MOST_ITEMS}
_CITED: Final = {
    "evidence": {"type": "string", "description": "the result that says why, as E7"},
    "quote": {"type": "string", "description": "copied exactly from one field of it"},
}
_STEP: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "phase": {"type": "string", "enum": [*_PHASES]},
        "why": {"type": "string", "description": "one sentence: why this helps"},
        **_CITED,
        "command": {"type": "string", "description": "for a person: one command line, or one sentence"},
        "tool": {"type": "string", "description": "or a writing tool, as it is named above"},
        "arguments": {"type": "object"},
        "undo_tool": {"type": "string", "description": "the tool that takes the call back"},
        "undo_arguments": {"type": "object"},
        "condition": {
            "type": "object",
            "description": "or what is looked up; subject as surveys tell it, a message, or version",
            "properties": {
                "entity": _TEXT_TYPE,
                "signal": {"type": "string", "enum": [signal.value for signal in Signal]},
                "subject": _TEXT_TYPE,
                "comparison": {
                    "type": "string",
                    "enum": ["normal", "unusual", "present", "absent", "at_most", "at_least", "equals"],
                },
                "value": {"type": ["number", "string"]},
            },
            "required": ["entity", "signal", "subject", "comparison"],
        },
    },
    "required": ["phase", "why", "evidence", "quote"],
}
_FIX: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "problem": {"type": "string", "description": "what is wrong in the code, and what follows from it"},
        "solution": {"type": "string", "description": "what to change, and why that mends it"},
        "files": {**_TEXTS, "description": "only files that you saw named in results"},
        "tests": {**_TEXTS, "description": "each fails before and passes after"},
        "stages": {**_TEXTS, "description": "in order, each of which can be shipped"},
        **_CITED,
    },
    "required": ["problem", "solution", "tests", "stages", "evidence", "quote"],
}
_FINISH: Final[Mapping[str, Any]] = {"type": "object", "properties": {"why": _TEXT_TYPE}}


class Drafted(Record):
    """What came of it: the steps and the fix that code let in, and how many were dropped."""

    steps: tuple[Step, ...] = ()
    fix: Fix | None = None
    dropped: int = 0


@dataclass
class Drafting:
    """One model's proposals; `known` is the fix as code words it."""

    means: Means
    admission: Admission
    known: Fix | None
    fix: Fix | None = None
    dropped: int = 0
    proposed: int = 0
    _tools: dict[str, Tool] = field(init=False)

    def __post_init__(self) -> None:
        self._tools = {name_of(tool): tool for tool in self.admission.hands}

    @property
    def drafted(self) -> Drafted:
        """What stands of it."""
        return Drafted(steps=tuple(self.admission.steps), fix=self.fix, dropped=self.dropped)

    def abilities(self, *, steps: bool) -> list[Ability]:
        """Return what is proposed with; steps only where the plan is left to a person."""
        step = Ability("propose_step", "One step that code could not name, with its quote.", _STEP, self._propose)
        fix = Ability("describe_fix", "The long-term fix, for a coding agent.", _FIX, self._describe)
        finish = Ability("finish", "End your task.", _FINISH, self._finish)
        return [*([step] if steps else []), *([fix] if self.known else []), finish]

    async def _propose(self, told: Mapping[str, JsonValue]) -> Told:
        if self.proposed >= MOST_STEPS:
            return Told(f"{MOST_STEPS} are proposed already: finish", failed=True)
        self.proposed += 1
        cited = self._cited(told)
        if cited is None:
            return self._drop("the evidence does not say that: copy a few words from one field of a result, exactly")
        try:
            proposed = self._as_proposed(told, cited)
        except (ValidationError, ValueError) as error:
            return self._drop(_fault(error))
        before = len(self.admission.steps)
        if why_not := self.admission.admit(proposed):
            return Told(why_not) if len(self.admission.steps) > before else self._drop(why_not)
        return Told("in the plan, for a person to read")

    def _as_proposed(self, told: Mapping[str, JsonValue], cited: Citation) -> Proposed:
        """Return what was proposed in its shape; raises `ValueError` for what is no step."""
        given = [name for name in ("command", "tool", "condition") if told.get(name)]
        if len(given) != 1:
            raise ValueError("a step is one of command, tool and condition")
        phase = _PHASES.get(_text(told.get("phase")))
        if phase is None:
            raise ValueError(f"a phase is one of {', '.join(_PHASES)}")
        condition = told.get("condition")
        return Proposed(
            why=self._clean(told.get("why"), _WORDS),
            cites=(cited,),
            phase=phase,
            call=self._call(told, "tool", "arguments"),
            undo=self._call(told, "undo_tool", "undo_arguments"),
            command=hidden(_text(told.get("command"))),
            condition=Condition.model_validate(_with_figure(condition)) if isinstance(condition, dict) else None,
        )

    def _call(self, told: Mapping[str, JsonValue], tool: str, arguments: str) -> Call | None:
        name, given = _text(told.get(tool)), told.get(arguments)
        if not name:
            return None
        known = self._tools.get(name)
        if known is None:
            raise ValueError(f"there is no writing tool {name!r}")
        return Call(server=known.server, tool=known.name, arguments=given if isinstance(given, dict) else {})

    async def _describe(self, told: Mapping[str, JsonValue]) -> Told:
        cited = self._cited(told)
        problem, solution = (self._clean(told.get(name), _TEXT) for name in ("problem", "solution"))
        if self.known is None or cited is None or not problem or not solution:
            return self._drop("a fix needs a problem, a solution, and a quote that stands in what you read")
        files, tests, stages = (self._items(told.get(name)) for name in ("files", "tests", "stages"))
        seen = {*self.known.files, *_files_in(self.means.shelf.documents())}
        unseen = [file for file in files if file not in seen]
        self.dropped += len(unseen)
        self.fix = self.known.model_copy(
            update={
                "problem": problem,
                "solution": solution,
                "files": tuple(file for file in files if file in seen) or self.known.files,
                "tests": tests or self.known.tests,
                "stages": stages or self.known.stages,
                "cites": (cited,),
                "by": "model",
            }
        )
        return Told(f"on record; left out, since no result names them: {', '.join(unseen)}" if unseen else "on record")

    async def _finish(self, told: Mapping[str, JsonValue]) -> Told:
        return Told("", over=True)

    def _cited(self, told: Mapping[str, JsonValue]) -> Citation | None:
        """Return the citation that stands in what was read, unless it says what must not be passed on."""
        quote = self.means.mask.unmasked(_text(told.get("quote")))
        cited = self.means.shelf.cite(_text(told.get("evidence")), quote)
        return cited if cited and hidden(str(cited.quote)) == str(cited.quote) else None

    def _drop(self, why: str) -> Told:
        self.dropped += 1
        return Told(f"dropped: {why}", failed=True)

    def _items(self, told: JsonValue) -> tuple[str, ...]:
        items = told if isinstance(told, list) else []
        return tuple(filter(None, (self._clean(item, _WORDS) for item in items[:_MOST_ITEMS])))

    def _clean(self, told: JsonValue, most: int) -> str:
        """Return a text as it may be kept: what can be seen of it, on one line, without what must not be passed on."""
        return hidden(" ".join(visible(_text(told)).split()))[:most]


async def draft(
    means: Means,
    system: Sequence[Block],
    admission: Admission,
    plan: Plan,
    known: Fix | None,
    supports: Iterable[Observation],
) -> tuple[Drafted, Ended]:
    """Have a model propose what a plan lacks and word the fix; whatever stood before it ended stands."""
    drafting = Drafting(means, admission, known)
    by_hand = bool(plan.steps) and not any(step.call for step in plan.steps)
    about = f"{plan.action} change diff runbook"
    task = prompt(
        "plan",
        conclusion=means.mark.around(admission.conclusion.statement, "what was concluded"),
        plan=means.mark.around(plan_text(plan), "the plan"),
        proposing=prompt("plan_steps", hands=_listed(admission.hands, means)) if by_hand else "It needs no more steps.",
        evidence=means.mark.around("\n".join(_shown(supports, means)) or "nothing", "statistics over telemetry"),
    ) + means.meant("plan")
    abilities = [*means.looking("planner", about), *drafting.abilities(steps=by_hand)]
    ended = await means.agent("planner", means.lead, system, abilities).run(task)
    return drafting.drafted, ended


def _listed(hands: Iterable[Tool], means: Means) -> str:
    """Return the writing tools as a model may read of them; their servers wrote the words."""
    lines = [
        f"{name_of(tool)}: {words_of(tool)} Arguments: {json.dumps(schema_of(tool), ensure_ascii=False)[:_TEXT]}"
        for tool in hands
    ]
    return means.mark.around(shortened("\n".join(lines), _HANDS_CHARS) or "none", "the servers of these tools")


def _shown(supports: Iterable[Observation], means: Means) -> Iterable[str]:
    """Yield what the conclusion rests on, each with its evidence on the shelf and a value that can be quoted."""
    for seen in [*supports][:_SHOWN]:
        if cited := next((c for c in seen.citations if isinstance(c.quote, str)), next(iter(seen.citations), None)):
            name = means.shelf.put(cited.evidence, f"{seen.by or seen.signal}.survey")
            yield f"[{name}] {seen.statement} (says: {str(cited.quote)[:_WORDS]})"


def _files_in(documents: Iterable[JsonValue]) -> Iterable[str]:
    """Yield the files that results name: in lists of a change's files, and in the heads of diffs."""
    for document in documents:
        rows = document.get("rows") if isinstance(document, dict) else None
        for row in rows if isinstance(rows, list) else []:
            files = row.get("files") if isinstance(row, dict) else None
            yield from map(str, files if isinstance(files, list) else [])
            diff = row.get("diff") if isinstance(row, dict) else None
            yield from _IN_DIFF.findall(diff) if isinstance(diff, str) else []


def _with_figure(condition: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a condition whose figure is one, however a model writes it."""
    value = condition.get("value")
    figure = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return {**{name: each for name, each in condition.items() if each is not None}, "value": figure or None}


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return str(error)[:200]


def _text(told: JsonValue) -> str:
    return told.strip() if isinstance(told, str) else ""
