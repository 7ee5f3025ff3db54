"""Whether a declared binding of runbooks holds: the tools are there, take these arguments, and answer as it says.

It asks what an investigation would ask, for the word `runbook`, and reads the first document that it finds. It leaves
nothing on record but the bytes of these answers.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from pydantic import JsonValue

from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.toolbox import LIST_RESOURCES, READ_RESOURCE, Answer, Eyes, Tool
from midwatch.runbooks import results_in, text_of, whole_of
from midwatch.settings.runbooks import RunbookBinding, Search, filled
from midwatch_kit.evidence import value_at

_SOUGHT: Final = "runbook"
_CORRECT: Final = "correct runbooks in the servers file"
_MOST_NAMES: Final = 8


@dataclass(frozen=True)
class Held:
    """Whether one part of a binding holds; what was seen, and what to do."""

    part: str
    ok: bool
    detail: str
    do: str = ""


async def check_binding(server: str, how: RunbookBinding, eyes: Eyes, seconds: float) -> list[Held]:
    """Return what became of a binding's parts, up to the first that does not hold."""
    steps = _of_resources(server, how, eyes, seconds) if how.resources else _of_tools(server, how, eyes, seconds)
    seen: list[Held] = []
    try:
        async for held in steps:
            seen.append(held)
            if not held.ok:
                break
    except Unanswered as error:
        seen.append(Held("runbooks", ok=False, detail=str(error)[:300], do="see the server's log"))
    return seen


async def _of_tools(server: str, how: RunbookBinding, eyes: Eyes, seconds: float) -> AsyncIterator[Held]:
    for part, declared in (("search", how.search), ("fetch", how.fetch)):
        if declared:
            yield _taken(f"runbooks.{part}", eyes.bound(server, declared.tool), declared.arguments)
    if how.search is None or how.fetch is None:
        return
    words: dict[str, JsonValue] = {"query": _SOUGHT, "service": _SOUGHT}
    answer = await eyes.ask(eyes.bound(server, how.search.tool), _filled(how.search.arguments, words), seconds)
    found, first = _found(how.search, answer)
    yield found
    if isinstance(first, str | int):
        tool, arguments = eyes.bound(server, how.fetch.tool), _filled(how.fetch.arguments, {"id": first})
        yield _text(await eyes.ask(tool, arguments, seconds), "runbooks.fetch", f"document {first}", how.fetch.text)


async def _of_resources(server: str, how: RunbookBinding, eyes: Eyes, seconds: float) -> AsyncIterator[Held]:
    pattern = how.resources.listed if how.resources else ""
    if not pattern:
        yield Held("runbooks.resources", ok=True, detail="addresses are filled in when there is an incident")
        return
    answer = await eyes.ask(eyes.bound(server, LIST_RESOURCES), {}, seconds)
    uris = [uri for row in answer.rows if isinstance(uri := value_at(row, "/uri"), str)]
    fits = [uri for uri in uris if fnmatchcase(uri, pattern)]
    detail = f"{len(fits)} of {len(uris)} resources are {pattern}"
    told = f"it lists {', '.join(uris[:_MOST_NAMES]) or 'none'}"
    yield Held("runbooks.resources", bool(fits), detail, "" if fits else f"correct runbooks.resources.listed: {told}")
    if fits:
        read = await eyes.ask(eyes.bound(server, READ_RESOURCE), {"uri": fits[0]}, seconds)
        yield _text(read, "runbooks.resources", fits[0], "")


def _taken(part: str, tool: Tool, arguments: Mapping[str, JsonValue]) -> Held:
    """Whether a tool is there, may be asked, and takes these arguments and wants no others."""
    if not tool.read_only:
        return Held(part, ok=False, detail=tool.barred or f"{tool.name} is not declared read-only", do=_CORRECT)
    takes = f"it takes {', '.join(sorted(tool.arguments)) or 'none'}"
    if unknown := sorted(arguments.keys() - tool.arguments):
        return Held(part, ok=False, detail=f"{tool.name} has no argument {unknown[0]}: {takes}", do=_CORRECT)
    required = tool.schema.get("required")
    missing = sorted({*map(str, required if isinstance(required, list) else ())} - arguments.keys())
    if missing:
        return Held(part, ok=False, detail=f"{tool.name} cannot do without {missing[0]}: {takes}", do=_CORRECT)
    return Held(part, ok=True, detail=f"{tool.name} takes {', '.join(sorted(arguments))}")


def _found(search: Search, answer: Answer) -> tuple[Held, JsonValue]:
    """Return whether what was found stands where the binding says, and the first document's id."""
    part, (whole, _) = f"runbooks.search for {_SOUGHT!r}", whole_of(answer)
    results = results_in(answer, search.results)
    if search.results and not isinstance(value_at(whole, search.results), list):
        detail = f"no list stands at {search.results}: {_holds(whole)}"
        return Held(part, ok=False, detail=detail, do="correct runbooks.search.results"), None
    if not results:
        return Held(part, ok=True, detail="nothing is found, so nobody knows whether documents can be read"), None
    first = value_at(results[0], search.id)
    if not isinstance(first, str | int):
        detail = f"no id stands at {search.id}: {_holds(results[0])}"
        return Held(part, ok=False, detail=detail, do="correct runbooks.search.id"), None
    title = value_at(results[0], search.title)
    return Held(part, ok=True, detail=f"{len(results)} found, the first is {title or first}"), first


def _text(answer: Answer, part: str, what: str, pointer: str) -> Held:
    whole = whole_of(answer)[0]
    if text := text_of(value_at(whole, pointer)).strip():
        return Held(part, ok=True, detail=f"{what} has {len(text):,} characters")
    detail = f"{what} has no text at {pointer or 'the top'}: {_holds(whole)}"
    return Held(part, ok=False, detail=detail, do="correct runbooks.fetch.text")


def _filled(arguments: Mapping[str, JsonValue], words: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: filled(value, words) for name, value in arguments.items()}


def _holds(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"it holds {', '.join([*value][:_MOST_NAMES])}"
    return f"it is {str(value)[:80]!r}"
