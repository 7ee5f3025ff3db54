"""Rules of drill-downs: every row can be reached, counts are exact, and a cursor leads nowhere else."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mcp import types
from pydantic import JsonValue

from midwatch.conformance.probe import Probe, Said
from midwatch.conformance.roles import ask
from midwatch.conformance.values import Values, properties
from midwatch.conformance.verdicts import Rule, Verdict

_ANSWERS = Rule("drill-downs answer", "answer, or refuse with what to do")
_PAGES = Rule(
    "drill-downs page to the end", "give next_cursor while rows are left, count matched exactly, resume there"
)
_CURSORS = Rule("a damaged cursor is refused", "answer a cursor that is not yours with a tool error")
_MOST_PAGES = 40
_STEPS = 3


@dataclass(frozen=True)
class Walk:
    """Pages of one question, in order; `ended` says that the last of them was reached."""

    pages: Sequence[Said]
    ended: bool

    def faults(self) -> list[str]:
        """Return what is wrong with the walk, in words."""
        tool, last = self.pages[0].tool, self.pages[-1]
        if last.answer is None:
            return [f"page {len(self.pages)} of {last.why}"]
        counted = {whole(page.reply.get("matched")) for page in self.pages}
        shown = sum(whole(page.reply.get("returned")) for page in self.pages)
        if len(counted) > 1:
            return [f"{tool} matched {' and then '.join(map(str, sorted(counted)))}"]
        if self.ended and last.reply.get("truncated") and len(self.pages) > 1:
            return [f"{tool} is cut on page {len(self.pages)}, and gives no cursor for the rest"]
        matched = counted.pop()
        if len(self.pages) > 1 and (shown > matched or (self.ended and shown != matched)):
            return [f"{tool} matched {matched}, but its {len(self.pages)} pages show {shown}"]
        return []


async def drill_down(probe: Probe, tools: Sequence[types.Tool], values: Values) -> AsyncIterator[Verdict]:
    """Try the drill-downs: first those that need no value, for they tell values that the others need."""
    if not tools:
        return
    answered: dict[str, Said] = {}
    faults: list[str] = []
    unknown: list[str] = []
    for tool in sorted(tools, key=lambda tool: bool(tool.input_schema.get("required"))):
        said = await ask(probe, tool, values)
        if isinstance(said, str):
            unknown.append(said)
        elif said.answer:
            values.learn(said.answer)
            answered[tool.name] = said
        elif not (said.refused and said.text):
            faults.append(said.why)
        else:
            unknown.append(said.why)
    seen = "; ".join([", ".join(answered) + " did"] * bool(answered) + unknown)
    yield _ANSWERS.judged(faults, seen) if answered or faults else _ANSWERS.untried(seen)
    paged = [tool for tool in tools if "cursor" in properties(tool) and tool.name in answered]
    yield await _paged(probe, paged, answered)
    yield await _refused(probe, paged, answered)


async def _paged(probe: Probe, tools: Sequence[types.Tool], first: dict[str, Said]) -> Verdict:
    faults = [f"{name} is cut, and takes no cursor" for name in _cut_short(first, tools)]
    seen: list[str] = []
    for tool in tools:
        walk = await _walk(probe, tool, first[tool.name])
        faults += walk.faults()
        if len(walk.pages) > 1:
            end = "" if walk.ended else ", and more"
            seen.append(f"{tool.name}: {walk.pages[0].reply.get('matched')} rows in {len(walk.pages)} pages{end}")
    if not seen and not faults:
        return _PAGES.untried("no drill-down had more than one page of rows")
    return _PAGES.judged(faults, "; ".join(seen))


def _cut_short(first: dict[str, Said], paged: Sequence[types.Tool]) -> list[str]:
    """Return the drill-downs that show some of their rows only and, without a cursor, keep them nowhere either."""
    names = {tool.name for tool in paged}
    cut = [name for name, said in first.items() if said.reply.get("truncated") and name not in names]
    return [name for name in cut if (said := first[name]).answer and len(said.answer.rows) < 1]


async def _walk(probe: Probe, tool: types.Tool, first: Said) -> Walk:
    """Go through the pages; where one page takes all rows, in smaller steps if the tool takes a limit."""
    matched = whole(first.reply.get("matched"))
    arguments = dict(first.arguments)
    if not first.reply.get("next_cursor") and "limit" in properties(tool) and matched > 1:
        arguments["limit"] = -(-matched // _STEPS)
        first = await probe.ask(tool.name, arguments)
    pages = [first]
    while (cursor := pages[-1].reply.get("next_cursor")) and len(pages) < _MOST_PAGES:
        pages.append(await probe.ask(tool.name, {**arguments, "cursor": cursor}))
    return Walk(pages, ended=not cursor)


async def _refused(probe: Probe, tools: Sequence[types.Tool], first: dict[str, Said]) -> Verdict:
    if not tools:
        return _CURSORS.untried("no drill-down takes a cursor")
    faults: list[str] = []
    for tool in tools:
        said = await probe.ask(tool.name, {**first[tool.name].arguments, "cursor": "bm8gc3VjaCBwYWdl"})
        if not said.refused:
            faults.append(f"{tool.name} went on as if nothing were wrong" if said.result else said.why)
    return _CURSORS.judged(faults, f"{len(tools)} tools did")


def whole(value: JsonValue) -> int:
    """Return a count that a server gave; -1 for what is no count."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
