"""A query in a backend's own language, for who knows it: its rows as a table, within the window whatever it says.

What all languages have in common is here: the tool, pages, what a row looks like. The rows of the first page are kept
as evidence, and further pages are read from there, so that nothing is asked, or paid, twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, Protocol, TypeAlias, TypeVar, runtime_checkable

from pydantic import Field, JsonValue

from midwatch_kit.errors import BadInput
from midwatch_kit.paging import Page, open_page
from midwatch_kit.records import Window
from midwatch_kit.reply import Answer, fitting
from midwatch_kit.server import EvidenceServer, Role
from midwatch_kit.short import kept_document
from midwatch_kit.text import printable
from midwatch_kit.window import resolve_window

NativeT = TypeVar("NativeT")
Limit = Annotated[int, Field(ge=1, le=5_000)]
MOST_ROWS: Final = 5_000
"""Rows that are asked for at most, however many a page has."""
_LEAST_ASKED: Final = 1_000
_MOST_CELL: Final = 300
_MOST_SHOWN: Final = 1_000
_MOST_QUERY: Final = 20_000
Row: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True)
class Asked:
    """A query as it was written, its window, where to look (empty: everywhere), and how many rows to give at most."""

    query: str
    window: Window
    sources: Sequence[str]
    most: int


@dataclass(frozen=True)
class Table:
    """Rows by the names of their columns, and the query as it was sent.

    `matched` is how many rows there are, exactly, however few are here; with `more` it is the least that there are.
    """

    rows: Sequence[Row]
    matched: int
    query: str
    more: bool = False
    caveats: Sequence[str] = field(default_factory=tuple)
    hint: str | None = None


class Native(Protocol):
    """A backend's own language; `languages` names it, or several."""

    languages: str
    has_sources: bool
    """Whether a query leaves open where to look, so that `sources` may say it."""

    def window(self, asked: Window) -> Window:
        """Return the window that the backend can keep to, to its last line."""

    def ask(self, asked: Asked) -> Table:
        """Return what a query gives; raises `BadInput` with the backend's own words, `NotFound` or `BackendDown`."""


@runtime_checkable
class Speaks(Protocol):
    """A backend that has a language of its own."""

    native: Native


def offer_query_tool(server: EvidenceServer, backends: Mapping[str, object], name: str) -> None:
    """Offer a tool of that name over those backends that have a language of their own; nothing when none has.

    The name is in the form `query_logs`, from which the title is made.
    """
    natives = {own: backend.native for own, backend in backends.items() if isinstance(backend, Speaks)}
    if not natives:
        return
    asking = _Asking(server, name, natives)

    languages = "; ".join(
        f"{own}: {native.languages}" if len(natives) > 1 else native.languages for own, native in natives.items()
    )
    told = f"Rows of a query in the backend's own language ({languages}), within the window."
    offer_with(server, name, told, _parameters(natives), asking.answer)


def offer_with(
    server: EvidenceServer,
    name: str,
    description: str,
    parameters: Sequence[tuple[str, Any, Any]],
    answer: Callable[[Mapping[str, Any]], Answer],
) -> None:
    """Offer a drill-down whose parameters (name, annotation, default) are known only when the server is built."""

    def query(**given: Any) -> Answer:
        return answer(given)

    query.__name__, query.__doc__ = name, description
    signed = [
        Parameter(one, Parameter.KEYWORD_ONLY, annotation=kind, default=default) for one, kind, default in parameters
    ]
    vars(query)["__signature__"] = Signature(signed, return_annotation=Answer)
    query.__annotations__ = {**{each.name: each.annotation for each in signed}, "return": Answer}
    server.tool(Role.DRILL_DOWN, name.replace("_", " ").capitalize())(query)


def chosen(natives: Mapping[str, NativeT], name: str) -> NativeT:
    """Return the backend of that name, or the only one; raises `BadInput` for a name that none has."""
    if len(natives) == 1:
        return next(iter(natives.values()))
    if name in natives:
        return natives[name]
    near = get_close_matches(name, natives, 1) or list(natives)
    raise BadInput(f"no backend {name[:80]!r} has a language of its own here: use {' or '.join(near)}")


def choice_of(natives: Mapping[str, object]) -> list[tuple[str, Any, Any]]:
    """Return the parameter that says which backend is meant; none where there is but one."""
    backend = Annotated[str, Field(json_schema_extra={"enum": list[JsonValue](natives)})]
    return [("backend", backend, Parameter.empty)] if len(natives) > 1 else []


def readable(query: str) -> str:
    """Return a query without spaces around it; raises `BadInput` for an empty one, or one that is too long."""
    if not query.strip():
        raise BadInput("query is empty: write one in the backend's own language")
    if len(query) > _MOST_QUERY:
        raise BadInput(f"the query has {len(query)} characters: {_MOST_QUERY} is the most")
    return query.strip()


def refuse_sources(asked: Asked, language: str, instead: str) -> None:
    """Raise `BadInput` when `sources` is given to a language whose queries name them themselves."""
    if asked.sources:
        raise BadInput(f"{language} names what it reads itself, {instead}: leave sources out")


@dataclass(frozen=True)
class _Asking:
    """The tool, from arguments to an answer."""

    server: EvidenceServer
    tool: str
    natives: Mapping[str, Native]

    def answer(self, given: Mapping[str, Any]) -> Answer:
        """Ask the backend, or go on in what it gave before."""
        native = chosen(self.natives, given.get("backend", ""))
        asked = {name: value for name, value in given.items() if name not in {"limit", "cursor"}}
        arguments = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()}
        page = open_page(
            given["cursor"], arguments, lambda: native.window(resolve_window(given["start"], given["end"]))
        )
        if page.after:
            return self._resumed(page, given["limit"])
        query = readable(given["query"])
        most = min(MOST_ROWS, max(given["limit"], _LEAST_ASKED))
        table = native.ask(Asked(query, page.window, given.get("sources", ()), most))
        return _answer(table, page, given["limit"])

    def _resumed(self, page: Page, limit: int) -> Answer:
        kept = kept_document(self.server.evidence, page, (self.server.name, self.tool))
        names: list[str] = kept.get("columns", [])
        rows: list[Row] = [{name: row[name] for name in names if name in row} for row in kept["rows"]]
        begins = int(str(page.after[1])) if page.after else 0
        return _shown(Table(rows, kept["matched"], kept["query"], bool(page.pin)), page, limit, begins)


def _parameters(natives: Mapping[str, Native]) -> list[tuple[str, Any, Any]]:
    sources = Annotated[tuple[str, ...], Field(description="log groups or indices, with *; empty: all")]
    return [
        ("query", str, Parameter.empty),
        *choice_of(natives),
        ("start", str, "-15m"),
        ("end", str, "now"),
        *([("sources", sources, ())] if any(native.has_sources for native in natives.values()) else []),
        ("limit", Limit, 100),
        ("cursor", str | None, None),
    ]


def _answer(table: Table, page: Page, limit: int) -> Answer:
    """The first page; the pin of its cursor tells the others that there is more than could be counted."""
    rows = fitting(table.rows)
    columns = _Columns.of(rows)
    query = f"{printable(table.query)[:_MOST_SHOWN]} -- {columns.told}" if rows else printable(table.query)
    told = Table(rows, table.matched, query, table.more, table.caveats, table.hint)
    return _shown(told, page.model_copy(update={"pin": int(table.more)}), limit, 0)


def _shown(table: Table, page: Page, limit: int, begins: int) -> Answer:
    rows, columns = table.rows, _Columns.of(table.rows)
    beyond = table.more or table.matched > len(rows)
    return Answer(
        query=table.query,
        rows=list[JsonValue](rows),
        lines=[columns.line(row) for row in rows[: begins + limit]],
        matched=table.matched,
        window=page.window,
        page=page,
        begins=begins,
        columns=list(dict.fromkeys(name for row in rows for name in row)),
        more=beyond or begins + limit < len(rows),
        caveats=[*table.caveats, *([_told_beyond(table)] if beyond else [])],
        hint=table.hint,
    )


def _told_beyond(table: Table) -> str:
    many = f"At least {table.matched}" if table.more else str(table.matched)
    return f"{many} rows match, and {len(table.rows)} were fetched: narrow the window, filter or aggregate, or raise \
limit (at most {MOST_ROWS})."


@dataclass(frozen=True)
class _Columns:
    """What rows have: names once instead of with each row, and what all rows have alike not even that."""

    alike: Row
    names: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "_Columns":
        names = list(dict.fromkeys(name for row in rows for name in row))
        if len(rows) < 2:
            return cls({}, names)
        alike = {name: rows[0].get(name) for name in names}
        alike = {name: value for name, value in alike.items() if all(row.get(name) == value for row in rows)}
        return cls(alike if len(alike) < len(names) else {}, [n for n in names if n not in alike] or names)

    @property
    def told(self) -> str:
        """The columns' names, and what all rows have."""
        alike = ", ".join(f"{name}={_cell(value)}" for name, value in self.alike.items())
        return f"columns: {' | '.join(self.names)}{f'; all rows: {alike}' if alike else ''}"

    def line(self, row: Row) -> str:
        """A row's cells."""
        return " | ".join(_cell(row.get(name)) for name in self.names)


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list) and all(isinstance(each, int | float | None) for each in value):
        return " ".join("-" if each is None else f"{each:.6g}" for each in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = text.partition("\n")[0][:_MOST_CELL]  # of a stack trace the first line: the evidence has the others
    return printable(shown) if shown == text else f"{printable(shown)}…[+{len(text) - len(shown)}]"
