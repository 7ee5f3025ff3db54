"""Rules of bad questions: a tool error in words that help, and a server that is still there afterwards."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from mcp import types
from pydantic import JsonValue

from midwatch.conformance.declared import role_of
from midwatch.conformance.probe import Probe, Said
from midwatch.conformance.values import Values, properties
from midwatch.conformance.verdicts import Rule, Verdict
from midwatch_kit.records import ObservationKind
from midwatch_kit.server import Role

_TIME = Rule(
    "a bad time is refused in words", "answer with a tool error that names the value and the forms that you take"
)
_TYPE = Rule("a wrong type is refused in words", "answer with a tool error that names the argument and what it takes")
_ENTITY = Rule(
    "an unknown entity is told", "say that it is unknown or that there is nothing to tell; never find anything"
)
_STANDS = Rule("it survives bad questions", "catch what a tool raises; one bad question must not stop the others")
_NONSENSE = "half past nonsense"
_NOBODY = "service:no-such-service-3f9a"
_DUMP = re.compile(r"errors\.pydantic\.dev|Traceback \(most recent|^Error executing tool \w+$")


async def refuses(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Ask what no tool can answer."""
    before = next((said for said in probe.said if said.answer), None)
    for rule, question, fault in _QUESTIONS:
        faults: list[str] = []
        asked = 0
        for tool in tools:
            if bad := question(tool):
                asked += 1
                said = await probe.ask(tool.name, {**_rest(tool, values), **bad})
                faults += [f"{tool.name} {wrong}" for wrong in (fault(said, bad),) if wrong]
        yield rule.judged(faults, f"by {asked} tools") if asked else rule.untried("no tool takes one")
    yield await _stands(probe, before)


def _bad_time(tool: types.Tool) -> dict[str, JsonValue]:
    return {"start": _NONSENSE} if "start" in properties(tool) else {}


def _wrong_type(tool: types.Tool) -> dict[str, JsonValue]:
    """Put an object where a tool takes none."""
    plain = (n for n, s in properties(tool).items() if isinstance(s, dict) and s.get("type") in _PLAIN)
    return {name: {"no": "such"} for name in [*plain][:1]}


_PLAIN = ("string", "integer", "number", "boolean", "array")


def _unknown_entity(tool: types.Tool) -> dict[str, JsonValue]:
    return {"entities": [_NOBODY]} if role_of(tool) is Role.SURVEY and "entities" in properties(tool) else {}


def _not_refused(said: Said, bad: Mapping[str, JsonValue]) -> str:
    """Return how a tool failed to refuse; empty when it did, in words that name the argument or its value."""
    if said.result is None:
        return f"gave no tool error: {said.trouble}"
    if not said.refused:
        return f"took {bad} for good"
    if _DUMP.search(said.text) or not any(name in said.text or str(value) in said.text for name, value in bad.items()):
        return f"said only {said.text[:80]!r}"
    return ""


def _found_something(said: Said, _: Mapping[str, JsonValue]) -> str:
    """Return how a survey failed to tell that it knows nothing of an entity."""
    if said.refused and said.text:
        return ""
    if said.answer is None:
        return said.why
    invented = [o.statement for o in said.answer.observations if o.kind is not ObservationKind.ABSENCE]
    if invented:
        return f"found for {_NOBODY}: {invented[0]}"
    return "" if said.text and (said.reply.get("hint") or said.reply.get("lines")) else "said nothing of it"


_QUESTIONS: tuple[
    tuple[
        Rule,
        Callable[[types.Tool], dict[str, JsonValue]],
        Callable[[Said, Mapping[str, JsonValue]], str],
    ],
    ...,
] = (
    (_TIME, _bad_time, _not_refused),
    (_TYPE, _wrong_type, _not_refused),
    (_ENTITY, _unknown_entity, _found_something),
)


def _rest(tool: types.Tool, values: Values) -> dict[str, JsonValue]:
    try:
        return values.arguments(tool)
    except LookupError:
        return {}


async def _stands(probe: Probe, before: Said | None) -> Verdict:
    if before is None or before.answer is None:
        return (
            _STANDS.judged(probe.lost, "it is still connected") if probe.lost else _STANDS.untried("nothing answered")
        )
    again = await probe.ask(before.tool, before.arguments)
    return _STANDS.judged([*probe.lost, *([again.why] if again.why else [])], f"{before.tool} answers as before")
