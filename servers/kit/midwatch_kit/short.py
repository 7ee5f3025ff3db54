"""The short way to write a tool: a function that says what it found, and the kit makes the answer of it.

The function takes what it needs of `window`, `baseline` and `entities`, and its own arguments; the kit gives the tool
the arguments that a host fills, resolves times, ranks, cites, pages and counts. What takes more than that (a backend
that pages by itself, findings that rest on several places) is written as an `Answer` with `EvidenceServer.tool`.
"""

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import Field, JsonValue

from midwatch_kit.check import Check, answer_checks
from midwatch_kit.errors import BadInput, NotFound
from midwatch_kit.evidence import EvidenceStore, canonical
from midwatch_kit.paging import Page, open_page
from midwatch_kit.records import Entity, Finding, Relation, TopologyFragment, Window
from midwatch_kit.reply import MAX_EVIDENCE_BYTES, Answer, CitedFinding
from midwatch_kit.window import resolve_baseline, resolve_window

FoundT = TypeVar("FoundT")
Simple: TypeAlias = Callable[..., FoundT | Awaitable[FoundT]]
Known: TypeAlias = Iterable[Entity | Relation]
Told: TypeAlias = Iterable[tuple[JsonValue, Finding]]
Rows: TypeAlias = Iterable[JsonValue]
Checked: TypeAlias = Check | Iterable[Check]

_TIMES: Mapping[str, tuple[Any, Any]] = {"start": (str, "-15m"), "end": (str, "now")}
_BASELINE: Mapping[str, tuple[Any, Any]] = {"baseline_start": (str | None, None), "baseline_end": (str | None, None)}
_ENTITIES = Annotated[tuple[str, ...], Field(description="service:NAME, instance:NAME…; empty: all")]
_CURSOR: Mapping[str, tuple[Any, Any]] = {"cursor": (str | None, None)}


@dataclass(frozen=True)
class _Question:
    """What to hand to the function, and how to make an answer of what it finds."""

    arguments: Mapping[str, Any]
    finish: Callable[[Any], Answer]


def discovering(body: Simple[Known], server: str) -> Callable[..., Any]:
    """Return a discover tool of a function that tells entities and relations."""

    def ask(given: Mapping[str, Any]) -> _Question:
        window = _window(given)
        return _Question({"window": window} if window else {}, lambda known: _answer_known(known, server, window))

    return _tool(body, {**_TIMES, "start": (str, "-1h")} if "window" in _parameters(body) else {}, ask)


def surveying(body: Simple[Told]) -> Callable[..., Any]:
    """Return a survey of a function that tells findings, each with the row that it rests on."""
    takes = _parameters(body).keys()

    def ask(given: Mapping[str, Any]) -> _Question:
        window = resolve_window(given["start"], given["end"])
        baseline = resolve_baseline(window, given["baseline_start"], given["baseline_end"])
        entities = tuple(name if ":" in name else f"service:{name}" for name in given["entities"])
        every = {"window": window, "baseline": baseline, "entities": entities}
        own = {name: every[name] for name in every.keys() & takes}
        return _Question(own, lambda told: _answer_told(told, window, baseline, entities))

    return _tool(body, {**_TIMES, **_BASELINE, "entities": (_ENTITIES, ())}, ask)


def drilling(
    body: Simple[Rows], server: str, kept: EvidenceStore, line: Callable[[JsonValue], str]
) -> Callable[..., Any]:
    """Return a drill-down of a function that gives every row that matches, in the order to read them.

    The first page asks the function; further pages are read from the evidence that the first one left, so that they
    are of the same rows whatever happens in the backend meanwhile.
    """
    own = [name for name in _parameters(body) if name != "window"]
    timed = "window" in _parameters(body)

    def ask(given: Mapping[str, Any]) -> _Question | Answer:
        arguments = {name: given[name] for name in own}
        page = open_page(given["cursor"], {"tool": body.__name__, **arguments}, lambda: _span(given))
        window = page.window if timed else None
        if page.after:
            return _resumed(page, window, kept, (server, body.__name__), line)
        said = f"{body.__name__} {json.dumps(arguments, sort_keys=True)}"
        first = {**arguments, "window": window} if timed else arguments
        return _Question(first, lambda rows: _answer_rows(said, _bounded(rows), page, window, line))

    return _tool(body, {**(_TIMES if timed else {}), **_CURSOR}, ask)


def checking(body: Simple[Checked]) -> Callable[..., Any]:
    """Return a check tool of a function that tells one check, or several."""

    def ask(_: Mapping[str, Any]) -> _Question:
        return _Question({}, lambda said: answer_checks([said] if isinstance(said, Check) else list(said)))

    return _tool(body, {}, ask)


def kept_document(kept: EvidenceStore, page: Page, asker: tuple[str, str]) -> Mapping[str, Any]:
    """Return the evidence that a cursor goes on in; raises `NotFound` for that of another server or tool."""
    document: Mapping[str, Any] = json.loads(kept.get(str(page.after[0]) if page.after else ""))
    if (document.get("server"), document.get("tool")) != asker:
        raise NotFound("the cursor leads to the rows of another tool: leave it out, and ask anew")
    return document


def as_line(row: JsonValue) -> str:
    """Return how a row reads: a text as it is, an object as `name=value` pairs, anything else as JSON."""
    if isinstance(row, dict):
        return " ".join(
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in row.items()
        )
    return row if isinstance(row, str) else json.dumps(row)


def _tool(
    body: Callable[..., Any],
    added: Mapping[str, tuple[Any, Any]],
    ask: Callable[[Mapping[str, Any]], _Question | Answer],
) -> Callable[..., Any]:
    """Return a tool's body with the function's own arguments and those that the kit adds; in a thread if it blocks."""

    def answer(**given: Any) -> Answer:
        asked = ask(given)
        return asked if isinstance(asked, Answer) else asked.finish(body(**asked.arguments))

    async def answer_async(**given: Any) -> Answer:
        asked = ask(given)
        return asked if isinstance(asked, Answer) else asked.finish(await body(**asked.arguments))

    tool = functools.update_wrapper(answer_async if inspect.iscoroutinefunction(body) else answer, body)
    given = {name: Parameter(name, Parameter.KEYWORD_ONLY, annotation=a, default=d) for name, (a, d) in added.items()}
    own = {name: p.replace(kind=Parameter.KEYWORD_ONLY) for name, p in _parameters(body).items() if name not in _FILLED}
    if clash := own.keys() & given.keys():
        raise TypeError(
            f"{body.__name__} has {', '.join(sorted(clash))}, which the kit gives it: take `window` instead"
        )
    parameters = {**own, **given}
    vars(tool)["__signature__"] = inspect.Signature([*parameters.values()], return_annotation=Answer)
    tool.__annotations__ = {**{name: p.annotation for name, p in parameters.items()}, "return": Answer}
    return tool


_FILLED = ("window", "baseline", "entities")


def _parameters(body: Callable[..., Any]) -> Mapping[str, Parameter]:
    return inspect.signature(body, eval_str=True).parameters


def _window(given: Mapping[str, Any]) -> Window | None:
    return resolve_window(given["start"], given["end"]) if "start" in given else None


def _span(given: Mapping[str, Any]) -> Window:
    return _window(given) or resolve_window("-15m", "now")  # a cursor has one, though nothing was asked of it


def _answer_known(known: Known, server: str, window: Window | None) -> Answer:
    learnt = [each if each.learnt_from else each.model_copy(update={"learnt_from": server}) for each in known]
    entities = tuple(each for each in learnt if isinstance(each, Entity))
    relations = tuple(each for each in learnt if isinstance(each, Relation))
    lines = [*(e.id for e in entities), *(f"{r.source} {r.kind} {r.target}" for r in relations)]
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in (*entities, *relations)]
    fragment = TopologyFragment(entities=entities, relations=relations)
    return Answer("everything known", rows, lines, len(rows), window=window, fragment=fragment)


def _answer_told(told: Told, window: Window, baseline: Window, entities: Sequence[str]) -> Answer:
    asked = [(row, each) for row, each in told if not entities or {each.entity, each.related} & {*entities}]
    ranked = sorted(asked, key=lambda pair: -abs(pair[1].score))
    findings = [CitedFinding(each, [f"/rows/{number}"]) for number, (_, each) in enumerate(ranked)]
    silent = sorted({*entities} - {name for _, each in ranked for name in (each.entity, each.related)})
    return Answer(
        query=f"survey of {', '.join(entities) or 'everything'}",
        rows=[row for row, _ in ranked],
        lines=[each.statement for _, each in ranked],
        matched=len(ranked),
        window=window,
        baseline=baseline,
        findings=findings,
        hint=f"Nothing to tell of {', '.join(silent)}." if silent else None,
    )


def _answer_rows(
    said: str, rows: Sequence[JsonValue], page: Page, window: Window | None, line: Callable[[JsonValue], str]
) -> Answer:
    begins = int(str(page.after[1])) if page.after else 0
    lines = [line(row) for row in rows]
    return Answer(said, rows, lines, len(rows), window=window, page=page, begins=begins)


def _resumed(
    page: Page, window: Window | None, kept: EvidenceStore, asker: tuple[str, str], line: Callable[[JsonValue], str]
) -> Answer:
    """Go on in the rows that the first page left as evidence."""
    document = kept_document(kept, page, asker)
    return _answer_rows(document["query"], document["rows"], page, window, line)


def _bounded(rows: Rows) -> list[JsonValue]:
    """Return the rows, as many as one evidence document takes; more than that is too much to have asked for."""
    found: list[JsonValue] = []
    size = 0
    for row in rows:
        size += len(canonical(row)) + 1
        if size > MAX_EVIDENCE_BYTES:
            raise BadInput(f"more than {len(found)} rows match: narrow the window, or add a filter")
        found.append(row)
    return found
