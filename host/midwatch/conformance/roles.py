"""Rules of single roles: what discover, survey and check tools must give. Drill-downs have a module of their own."""

from collections.abc import AsyncIterator, Iterator, Sequence

from mcp import types
from pydantic import JsonValue

from midwatch.conformance.probe import Probe, Said
from midwatch.conformance.values import FILLED, Values, properties
from midwatch.conformance.verdicts import Rule, Verdict
from midwatch_kit.evidence import broken_citations
from midwatch_kit.records import Observation
from midwatch_kit.window import rfc3339

_DISCOVERS = Rule("discover gives a topology", "give a fragment in midwatch/records: entities with kind:name as id")
_FILLED = Rule(
    "survey takes what a host fills", "take start, end, baseline_start, baseline_end and entities, all optional"
)
_ANSWERED = Rule("survey answers", "answer with the arguments that a host fills, also where there is no data")
_ECHOES = Rule("survey echoes its windows", "give window and baseline as START/END in RFC 3339, as they were resolved")
_CITES = Rule("findings stand on stored bytes", "cite evidence by id and JSON Pointer, and quote what stands there")
_TELLS = Rule("healthy ones are told", "tell a normal or an absence of each entity asked about, or name it in a hint")
_CHECKS = Rule("check gives a verdict", "give a row for each thing looked at: name, ok, detail, and do where not ok")
_ALIKE = Rule("the same question has the same answer", "sort rows by a total order; leave clocks and ids out of them")


async def discover(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Try the discover tools, and learn from them what there is."""
    faults: list[str] = []
    known = 0
    for tool in tools:
        said = await ask(probe, tool, values)
        if isinstance(said, str) or not said.answer:
            faults.append(said if isinstance(said, str) else said.why)
            continue
        if not said.answer.records:
            faults.append(f"{tool.name} gave no fragment")
        values.learn(said.answer)
        values.learn_of(said.answer.fragment)
        known += len(said.answer.fragment.entities)
    if tools:
        yield _DISCOVERS.judged(faults, f"{known} entities")


async def survey(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Try the surveys: of everything, of the entities that are known, and of an hour in which there was nothing."""
    if not tools:
        return
    lacking = {tool.name: [name for name in FILLED if name not in properties(tool)] for tool in tools}
    yield _FILLED.judged([f"{name} lacks {', '.join(lack)}" for name, lack in lacking.items() if lack], "all do")
    answers = [await ask(probe, tool, values) for tool in tools]
    whole = [said for said in answers if isinstance(said, Said) and said.answer]
    for said in whole:
        if said.answer:
            values.learn(said.answer)
    empty = [await _ask_long_ago(probe, tool, values) for tool in tools]
    faults = [said if isinstance(said, str) else said.why for said in (*answers, *empty)]
    yield _ANSWERED.judged([fault for fault in faults if fault], f"{len(whole)} with data, {len(empty)} without")
    yield _ECHOES.judged([*_wrong_windows(whole, values)], _interval(values))
    yield _cited(probe, whole)
    yield await _told(probe, tools, values)


async def check(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Try the check tools; a backend that is not well does not break the rule, silence about it does."""
    faults: list[str] = []
    lines: list[str] = []
    for tool in tools:
        said = await ask(probe, tool, values)
        if isinstance(said, str) or not said.answer:
            faults.append(said if isinstance(said, str) else said.why)
            continue
        rows = said.answer.rows
        faults += [f"{tool.name} gave no row"] if not rows else []
        for row in rows:
            told = row if isinstance(row, dict) else {}
            well = isinstance(told.get("name"), str) and isinstance(told.get("ok"), bool) and "detail" in told
            lines.append(f"{told.get('name')} {'ok' if told.get('ok') else 'not ok'}")
            if not well or not (told["ok"] or told.get("do")):
                faults.append(f"{tool.name} gave {str(row)[:80]}")
    if tools:
        yield _CHECKS.judged(faults, ", ".join(lines))


async def alike(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Ask each tool again what it answered first, and compare the evidence."""
    faults: list[str] = []
    names = {tool.name for tool in tools}
    answered = {said.tool: said for said in reversed(probe.said) if said.answer and said.tool in names}
    for first in answered.values():
        again = await probe.ask(first.tool, first.arguments)
        if again.answer is None:
            faults.append(again.why)
        elif first.answer and again.answer.evidence != first.answer.evidence:
            faults.append(f"{first.tool} gave other rows when asked again")
    yield (
        _ALIKE.judged(faults, f"{len(answered)} tools asked twice")
        if answered
        else _ALIKE.untried("nothing was answered")
    )


async def ask(probe: Probe, tool: types.Tool, values: Values, **more: JsonValue) -> Said | str:
    """Ask a tool as far as arguments for it are known; returns why not in words."""
    try:
        arguments = values.arguments(tool)
    except LookupError as error:
        return str(error)
    return await probe.ask(tool.name, {**arguments, **more})


async def _ask_long_ago(probe: Probe, tool: types.Tool, values: Values) -> Said | str:
    if "start" not in properties(tool) or "end" not in properties(tool):
        return await ask(probe, tool, values)
    hour = {"start": "2001-01-01T00:00:00Z", "end": "2001-01-01T01:00:00Z"}
    return await probe.ask(tool.name, hour)


def _interval(values: Values) -> str:
    return f"{rfc3339(values.window.start)}/{rfc3339(values.window.end)}"


def _wrong_windows(said: Sequence[Said], values: Values) -> Iterator[str]:
    before = f"{rfc3339(values.baseline.start)}/{rfc3339(values.baseline.end)}"
    for each in said:
        for name, asked in (("window", _interval(values)), ("baseline", before)):
            if each.reply.get(name) != asked:
                yield f"{each.tool} was asked for {name} {asked} and says {each.reply.get(name)}"


def _cited(probe: Probe, said: Sequence[Said]) -> Verdict:
    observations = [o for each in said if each.answer for o in each.answer.observations]
    missing = [f"{each.tool} gave no midwatch/records" for each in said if each.answer and not each.answer.records]
    if not observations and not missing:
        return _CITES.untried("nothing was found in this window: choose one with data by --start and --end")
    stored = {each.answer.evidence: probe.kept.get(each.answer.evidence) for each in said if each.answer}
    faults = [fault for o in observations for fault in broken_citations(o, stored)]
    citations = sum(len(o.citations) for o in observations)
    return _CITES.judged([*missing, *faults], f"{citations} citations of {len(observations)} findings")


async def _told(probe: Probe, tools: Sequence[types.Tool], values: Values) -> Verdict:
    if not values.entities:
        return _TELLS.untried("no service is known to ask about")
    faults: list[str] = []
    for tool in (tool for tool in tools if "entities" in properties(tool)):
        said = await ask(probe, tool, values, entities=list(values.entities))
        if isinstance(said, str) or not said.answer:
            faults.append(said if isinstance(said, str) else said.why)
            continue
        named = {name for o in said.answer.observations for name in _names(o)}
        silent = [e for e in values.entities if e not in named and e.partition(":")[2] not in said.text]
        faults += [f"{tool.name} says nothing of {', '.join(silent)}"] if silent else []
    return _TELLS.judged(faults, f"of {len(values.entities)} services asked about, each is")


def _names(observation: Observation) -> Iterator[str]:
    yield observation.entity
    if observation.related:
        yield observation.related
