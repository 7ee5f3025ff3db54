"""ES|QL, as much of it as tests send, over documents in memory: FROM, WHERE, STATS COUNT(*), SORT, KEEP and LIMIT.

What it cannot read, and columns that are not there, are refused in the words of the real one, with line and column.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from tests.backends.fakes.elasticsearch_query import Refused

Row = dict[str, Any]
_IMPLIED: Final = 1_000
_MOST: Final = 10_000
_PIPE: Final = re.compile(r"\|")
_TEST: Final = re.compile(r'([\w.@]+)\s*(==|!=|LIKE)\s*"([^"]*)"')
_COUNT: Final = re.compile(r"(?:(\w+)\s*=\s*)?COUNT\(\*\)(?:\s+BY\s+(.+))?", re.DOTALL)


class EsqlQuery:
    """A query that has been read; `types` are those of the fields that there are."""

    def __init__(self, text: str, types: Mapping[str, str]) -> None:
        self._text = text
        self._types = dict(types)
        (self._first, at), *self._commands = list(_commands(text))
        if not self._first.startswith("FROM "):
            word = self._first.split(" ")[0]
            raise self._fault("parsing_exception", at, f"mismatched input '{word}' expecting {{'from', 'row', 'show'}}")

    @property
    def indices(self) -> str:
        """What FROM names."""
        return self._first.removeprefix("FROM ").partition(" METADATA")[0].replace(" ", "")

    def answer(self, documents: Sequence[Row]) -> dict[str, Any]:
        """Return columns and values, without the columns that are null throughout."""
        rows = [{name: document.get(name) for name in sorted(self._types)} for document in documents]
        limited = False
        for command, at in self._commands:
            name, _, rest = command.partition(" ")
            limited |= name == "LIMIT"
            if name not in _STEPS:
                raise self._fault("parsing_exception", at, f"mismatched input '{name}' expecting a command")
            for field, place in self._fields(name, rest, at + len(name) + 1):
                self._known(field, place)
            rows = _STEPS[name](rows, rest.strip())
            if name == "STATS":
                self._types = {column: "long" for row in rows for column in row}
        rows = rows[: _MOST if limited else _IMPLIED]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        every = [{"name": name, "type": self._types.get(name, "keyword")} for name in columns]
        shown = [column for column in every if any(row[column["name"]] is not None for row in rows)]
        values = [[row[column["name"]] for column in shown] for row in rows]
        return {"all_columns": every, "columns": shown, "values": values, "took": 1, "is_partial": False}

    def _fields(self, command: str, rest: str, at: int) -> Iterator[tuple[str, int]]:
        """The fields that a command needs, and where they stand."""
        found: Mapping[str, Callable[[], Iterator[re.Match[str]]]] = {
            "WHERE": lambda: _TEST.finditer(rest),
            "SORT": lambda: re.finditer(r"^\s*([\w.@]+)", rest),
            "KEEP": lambda: re.finditer(r"([\w.@]+)", rest),
            "STATS": lambda: re.finditer(r"([\w.@]+)", rest[len(rest.partition(" BY ")[0]) + 4 :]),
        }
        offset = len(rest.partition(" BY ")[0]) + 4 if command == "STATS" else 0
        for match in found[command]() if command in found else ():
            yield match[1], at + offset + match.start(1)

    def _known(self, field: str, at: int) -> None:
        if field in self._types:
            return
        near = get_close_matches(field, self._types, 1)
        advice = f", did you mean [{near[0]}]?" if near else ""
        raise self._fault("verification_exception", at, f"Unknown column [{field}]{advice}", "Found 1 problem\n")

    def _fault(self, kind: str, at: int, said: str, before: str = "") -> Refused:
        line, column = self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)
        return Refused(400, kind, f"{before}line {line}:{column}: {said}")


def _commands(text: str) -> Iterator[tuple[str, int]]:
    begin = 0
    for end in [*(found.start() for found in _PIPE.finditer(text)), len(text)]:
        part = text[begin:end]
        yield part.strip(), begin + len(part) - len(part.lstrip())
        begin = end + 1


def _where(rows: list[Row], rest: str) -> list[Row]:
    tests = [_TEST.fullmatch(part.strip()) for part in rest.split(" AND ")]

    def passes(row: Row) -> bool:
        for test in tests:
            assert test, rest
            field, sign, wanted = test.groups()
            value = row[field] or ""
            like = re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), value) is not None
            if not {"==": value == wanted, "!=": value != wanted, "LIKE": like}[sign]:
                return False
        return True

    return [row for row in rows if passes(row)]


def _stats(rows: list[Row], rest: str) -> list[Row]:
    found = _COUNT.fullmatch(rest)
    assert found, rest
    name, by = found[1] or "COUNT(*)", [field.strip() for field in (found[2] or "").split(",") if field.strip()]
    counted = Counter(tuple(row[field] for field in by) for row in rows)
    groups = counted.items() if by else [((), len(rows))]
    return [{name: number, **dict(zip(by, key, strict=True))} for key, number in groups]


def _sort(rows: list[Row], rest: str) -> list[Row]:
    field, _, order = rest.partition(" ")
    return sorted(rows, key=lambda row: row[field], reverse=order.strip().upper() == "DESC")


def _keep(rows: list[Row], rest: str) -> list[Row]:
    return [{field.strip(): row[field.strip()] for field in rest.split(",")} for row in rows]


_STEPS: Final[Mapping[str, Callable[[list[Row], str], list[Row]]]] = {
    "WHERE": _where,
    "STATS": _stats,
    "SORT": _sort,
    "KEEP": _keep,
    "LIMIT": lambda rows, rest: rows[: int(rest)],
}
