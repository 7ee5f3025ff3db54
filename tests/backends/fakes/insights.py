"""Logs Insights' query language, as much of it as is sent: fields, filter, parse, stats, sort and limit, evaluated.

Fields of lines of JSON are found as Insights finds them. A query that it could not read is refused with the place.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

Row = dict[str, Any]
Value = Callable[[Row], Any]
_TOKENS: Final = re.compile(
    r"""\s*(?:(?P<regex>/(?:[^/\\\n]|\\.)+/)(?=\s|\)|$)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>\d+(?:\.\d+)?)|(?P<word>`[^`]+`|[@A-Za-z_][\w.@]*)|(?P<sign>>=|<=|!=|[=<>()*,|/+-]))""",
    re.VERBOSE,
)


class Malformed(Exception):
    """What Insights refuses, with the place of the fault (characters from the start)."""

    def __init__(self, message: str, begin: int, end: int) -> None:
        super().__init__(message)
        self.message, self.begin, self.end = message, begin, end


@dataclass(frozen=True)
class Event:
    """A log event as it was put; time in ms since the epoch."""

    time: int
    group: str
    stream: str
    message: str

    def row(self) -> Row:
        """Return the fields that Insights has of it."""
        found = dict(_flat(self.message))
        own = {"@timestamp": self.time, "@message": self.message, "@logStream": self.stream}
        return {**found, **own, "@log": f"123456789012:{self.group}"}


class Query:
    """A query that has been read; raises `Malformed`."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._tokens = list(_tokens(text))
        self._steps: list[Callable[[list[Row]], list[Row]]] = []
        self._shown: list[str] = []
        self._named: set[str] = set()
        while True:
            self._steps.append(self._command())
            if self._at >= len(self._tokens):
                break
            self._take("|")

    def rows(self, events: Sequence[Event]) -> list[dict[str, str]]:
        """Return what the query gives of events, as the API writes it."""
        rows = [event.row() for event in events]
        for step in self._steps:
            rows = step(rows)
        return [{name: _written(name, row[name]) for name in self._shown if row.get(name) is not None} for row in rows]

    def _command(self) -> Callable[[list[Row]], list[Row]]:
        match self._next()[1]:
            case "fields":
                return self._fields()
            case "filter":
                test = self._either()
                return lambda rows: [row for row in rows if test(row)]
            case "parse":
                return self._parse()
            case "stats":
                return self._stats()
            case "sort":
                field, order = self._next()[1], self._next()[1]
                return lambda rows: sorted(rows, key=lambda row: row[field], reverse=order == "desc")
            case "limit":
                most = int(self._next()[1])
                return lambda rows: rows[:most]
        self._at -= 1
        raise self._unexpected()

    def _fields(self) -> Callable[[list[Row]], list[Row]]:
        named = self._list(self._named_value)
        self._shown += [name for name, _ in named]
        return lambda rows: [{**row, **{name: value(row) for name, value in named}} for row in rows]

    def _named_value(self) -> tuple[str, Value]:
        first = self._peek()
        value = self._sum()
        if self._peek() != "as":
            return first, value
        self._take("as")
        name = self._next()[1]
        if name in self._named:
            self._at -= 1
            raise self._fault(f"Ephemeral field is already defined: {name}")
        self._named.add(name)
        return name, value

    def _parse(self) -> Callable[[list[Row]], list[Row]]:
        field, kind = self._next()[1], self._next()
        pattern = self._pattern(kind)
        self._named |= set(pattern.groupindex)

        def parsed(row: Row) -> Row:
            found = pattern.search(row.get(field) or "")
            return {**row, **({k: v for k, v in found.groupdict().items() if v is not None} if found else {})}

        return lambda rows: [parsed(row) for row in rows]

    def _stats(self) -> Callable[[list[Row]], list[Row]]:
        told = self._list(self._aggregate)
        by: list[str] = []
        if self._peek() == "by":
            self._take("by")
            by = self._list(lambda: self._next()[1])
        self._shown = [*by, *(name for name, _ in told)]

        def counted(rows: list[Row]) -> list[Row]:
            groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
            for row in rows:
                groups[tuple(row.get(name) for name in by)].append(row)
            if not by:
                groups[()] = rows
            return [
                {**dict(zip(by, key, strict=True)), **{name: of(group) for name, of in told}}
                for key, group in groups.items()
            ]

        return counted

    def _aggregate(self) -> tuple[str, Callable[[list[Row]], Any]]:
        kind = self._next()[1]
        self._take("(")
        field = self._next()[1]
        self._take(")")
        self._take("as")
        of: dict[str, Callable[[list[Row]], Any]] = {
            "count": len,
            "min": lambda rows: min(row[field] for row in rows),
            "max": lambda rows: max(row[field] for row in rows),
        }
        return self._next()[1], of[kind]

    def _either(self) -> Value:
        tests = [self._both()]
        while self._peek() == "or":
            self._take("or")
            tests.append(self._both())
        return lambda row: any(test(row) for test in tests)

    def _both(self) -> Value:
        tests = [self._test()]
        while self._peek() == "and":
            self._take("and")
            tests.append(self._test())
        return lambda row: all(test(row) for test in tests)

    def _test(self) -> Value:
        if self._peek() == "(":
            self._take("(")
            test = self._either()
            self._take(")")
            return test
        left, (_, sign, _) = self._sum(), self._next()
        if sign == "like":
            pattern = self._pattern(self._next())
            return lambda row: left(row) is not None and pattern.search(str(left(row))) is not None
        right = self._sum()
        tests: dict[str, Callable[[Any, Any], bool]] = {
            "=": lambda a, b: a == b,
            ">=": lambda a, b: a is not None and a >= b,
            "<": lambda a, b: a is not None and a < b,
        }
        if sign not in tests:
            self._at -= 2
            raise self._unexpected()
        return lambda row: tests[sign](left(row), right(row))

    def _sum(self) -> Value:
        value = self._one()
        while (sign := self._peek()) in {"-", "/"}:
            self._take(sign)
            value = _calculated(sign, value, self._one())
        return value

    def _one(self) -> Value:
        kind, text, _ = self._next()
        if text == "(":
            value = self._sum()
            self._take(")")
            return value
        if kind == "number":
            return lambda row: float(text)
        if kind == "text":
            return lambda row: text[1:-1]
        if kind != "word":
            self._at -= 1
            raise self._unexpected()
        if self._peek() != "(":
            return lambda row: row.get(text.strip("`"))
        self._take("(")
        values = self._list(self._sum)
        self._take(")")
        return _called(text, values)

    def _list(self, read: Callable[[], Any]) -> list[Any]:
        found = [read()]
        while self._peek() == ",":
            self._take(",")
            found.append(read())
        return found

    def _pattern(self, token: tuple[str, str, int]) -> "re.Pattern[str]":
        kind, text, _ = token
        try:
            return _compiled(text[1:-1] if kind == "regex" else re.escape(text[1:-1]))
        except re.error as error:
            self._at -= 1
            raise self._fault(f"invalid regular expression: {error}") from None

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, expected: str) -> None:
        if self._peek() != expected:
            raise self._unexpected()
        self._at += 1

    def _unexpected(self) -> Malformed:
        return self._fault(f"unexpected symbol found {self._peek() or '<EOF>'}")

    def _fault(self, message: str) -> Malformed:
        begin = self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text)
        return Malformed(message, begin, begin + max(0, len(self._peek()) - 1))


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while text[at:].strip():
        found = _TOKENS.match(text, at)
        if not found:
            raise Malformed(f"unexpected symbol found {text[at:].strip()[0]}", at, at)
        yield found.lastgroup or "", found[found.lastgroup or 0], found.start(found.lastgroup or 0)
        at = found.end()


def _called(name: str, values: Sequence[Value]) -> Value:
    match name:
        case "toMillis":
            return lambda row: float(values[0](row))
        case "floor":
            return lambda row: float(math.floor(values[0](row)))
        case "coalesce":
            return lambda row: next((found for value in values if (found := value(row)) is not None), None)
    raise Malformed(f"unknown function {name}", 0, 0)


def _calculated(sign: str, left: Value, right: Value) -> Value:
    return (lambda row: left(row) - right(row)) if sign == "-" else (lambda row: left(row) / right(row))


def _written(name: str, value: Any) -> str:
    if name == "@timestamp":
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}.{value % 1000:03d}"
    return (
        f"{value:g}"
        if isinstance(value, float) and abs(value) < 1e5
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


@cache
def _compiled(pattern: str) -> "re.Pattern[str]":
    if refused := re.search(r"\(\?[=!]", pattern):
        raise re.error(f"invalid or unsupported: {refused[0]}")
    return re.compile(pattern.replace("(?<", "(?P<"))


@cache
def _flat(message: str) -> tuple[tuple[str, str], ...]:
    if not message.startswith("{"):
        return ()
    try:
        read = json.loads(message)
    except ValueError:
        return ()
    return tuple((str(name), str(value)) for name, value in _leaves(read, ""))


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, f"{prefix}{name}.")
        elif inner is not None:
            yield f"{prefix}{name}", inner
