"""A Loki that keeps lines in memory: the HTTP API and as much of LogQL as there is below, with the real one's manners.

Times are strings of nanoseconds; structured metadata is among a stream's labels; errors are plain text; a metric query
counts in (t - range, t] and its moments are moved to multiples of the step; limits are those of an untouched Loki.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from tests.backends.grammars import READ

MOST_ENTRIES: Final = 5_000
MOST_SERIES: Final = 500
_TOKENS: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<duration>\d+(?:ns|us|ms|s|m|h|d))|(?P<word>[A-Za-z_]\w*)
    |(?P<sign>\|=|\|~|!=|!~|=~|[{}()\[\],=|]))""",
    re.VERBOSE,
)
_NS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class Refused(Exception):
    """What Loki answers with 400."""


@dataclass
class Entry:
    """A line with the labels of its stream and its structured metadata."""

    ns: int
    line: str
    stream: dict[str, str]
    metadata: dict[str, str]

    @cached_property
    def labels(self) -> dict[str, str]:
        """All labels, as an answer shows them."""
        return {**self.stream, **self.metadata}


Test = Callable[[Entry], bool]


@dataclass(frozen=True)
class Counting:
    """A metric query: what is counted, by which labels (None: all in one), over which range, how far back (ns)."""

    lines: Test
    by: Sequence[str]
    length: int
    offset: int


class LogQl:
    """A parser by recursive descent; raises `Refused` with the place, as the real one does."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKENS.match(text, at)
            if not found:
                raise Refused(f"parse error at line 1, col {at + 1}: syntax error: unexpected character")
            self._tokens.append((found.lastgroup or "", found[found.lastgroup or 0], found.start(found.lastgroup or 0)))
            at = found.end()
        self._at = 0

    def parse(self) -> Test | Counting:
        """Return a test of lines, or a counting of those."""
        parsed = self._counting() if self._peek() == "sum" else self._lines()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return parsed

    def _counting(self) -> Counting:
        self._take("sum")
        by: list[str] = []
        if self._peek() == "by":
            self._take("by")
            self._take("(")
            by.append(self._word())
            while self._peek() == ",":
                self._take(",")
                by.append(self._word())
            self._take(")")
        for expected in ("(", "count_over_time", "("):
            self._take(expected)
        lines = self._lines()
        self._take("[")
        length, offset = _length(self._next()), 0
        self._take("]")
        if self._peek() == "offset":
            self._take("offset")
            offset = _length(self._next())
        self._take(")")
        self._take(")")
        return Counting(lines, by, length, offset)

    def _lines(self) -> Test:
        tests = [self._selector()]
        while (sign := self._peek()) in ("|=", "|~", "|"):
            self._take(sign)
            tests.append(self._either() if sign == "|" else _line_filter(sign, self._string()))
        return lambda entry: all(test(entry) for test in tests)

    def _selector(self) -> Test:
        self._take("{")
        tests: list[Test] = []
        telling = False
        while self._peek() != "}":
            if tests:
                self._take(",")
            name, sign, value = self._word(), self._sign(), self._string()
            telling |= not _matches(sign, value, "")
            tests.append(_stream_test(name, sign, value))
        self._take("}")
        if not telling:
            raise Refused(
                "parse error : queries require at least one regexp or equality matcher that does not have an "
                'empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
            )
        return lambda entry: all(test(entry) for test in tests)

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == "or":
            self._take("or")
            tests.append(self._both())
        return lambda entry: any(test(entry) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek() == "and":
            self._take("and")
            tests.append(self._one())
        return lambda entry: all(test(entry) for test in tests)

    def _one(self) -> Test:
        if self._peek() == "(":
            self._take("(")
            test = self._either()
            self._take(")")
            return test
        name, sign, value = self._word(), self._sign(), self._string()
        return lambda entry: _matches(sign, value, entry.labels.get(name, ""))

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _take(self, expected: str) -> None:
        if self._peek() != expected:
            raise self._unexpected()
        self._at += 1

    def _sign(self) -> str:
        if self._peek() not in {"=", "!=", "=~", "!~"}:
            raise self._unexpected()
        return self._next()

    def _word(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != "word":
            raise self._unexpected()
        return self._next()

    def _string(self) -> str:
        text = self._next()
        if text[:1] not in {'"', "`"}:
            self._at -= 1
            raise self._unexpected()
        return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", lambda m: _ESCAPES[m[1]], text[1:-1])

    def _unexpected(self) -> Refused:
        if self._at >= len(self._tokens):
            return Refused(f"parse error at line 1, col {len(self._text) + 1}: syntax error: unexpected $end")
        _, text, place = self._tokens[self._at]
        return Refused(f"parse error at line 1, col {place + 1}: syntax error: unexpected {text}")


class FakeLoki:
    """The lines, and the routes to them; `entries` may grow while it is served."""

    def __init__(self, entries: Sequence[Entry], *, most_series: int = MOST_SERIES, stored_bytes: int = 0) -> None:
        self.entries = list(entries)
        self.most_series = most_series
        self.stored_bytes = stored_bytes
        self.queries: list[str] = []
        self.weighed: list[dict[str, str]] = []
        paths = {
            "query_range": self.query_range,
            "query": self.query,
            "labels": self.labels,
            "index/stats": self.stats,
            "status/buildinfo": self.version,
        }
        paths_of_labels = [Route("/loki/api/v1/label/{name}/values", self.values)]
        routes = [Route(f"/loki/api/v1/{path}", _told(route)) for path, route in paths.items()]
        self.app = Starlette(routes=[*routes, *paths_of_labels])

    def query_range(self, asked: dict[str, str]) -> Any:
        """Lines, or a matrix."""
        start, end = int(asked["start"]), int(asked["end"])
        if end < start:
            raise Refused("end timestamp must not be before or equal to start time")
        if end - start > 721 * 3600 * 10**9:
            raise Refused("the query time range exceeds the limit (query length: 720h0m1s, limit: 30d1h)")
        self.queries.append(asked["query"])
        parsed = _read(asked["query"])
        if isinstance(parsed, Counting):
            return self._matrix(parsed, start, end, _length(asked["step"]))
        return self._streams(parsed, start, end, int(asked.get("limit", "100")), asked.get("direction", "backward"))

    def query(self, asked: dict[str, str]) -> Any:
        """A vector."""
        self.queries.append(asked["query"])
        parsed = _read(asked["query"])
        if not isinstance(parsed, Counting):
            raise Refused("log queries are not supported as an instant query type, please change your query to a range")
        at = int(asked["time"])
        (counted,) = self._count(parsed, [at])
        result = [{"metric": dict(labels), "value": [at / 1e9, str(n)]} for labels, n in counted.items()]
        return {"status": "success", "data": {"resultType": "vector", "result": result, "stats": {}}}

    def labels(self, asked: dict[str, str]) -> Any:
        """The names of stream labels; a Loki without any leaves `data` out."""
        names = sorted({name for entry in self.entries for name in entry.stream})
        return {"status": "success", **({"data": names} if names else {})}

    def values(self, request: Request) -> Response:
        """The values of a stream label in a time."""
        name, (start, end) = request.path_params["name"], (int(request.query_params[n]) for n in ("start", "end"))
        found = {e.stream[name] for e in self.entries if name in e.stream and start <= e.ns <= end}
        return JSONResponse({"status": "success", **({"data": sorted(found)} if found else {})})

    def stats(self, asked: dict[str, str]) -> Any:
        """What a query would read; takes a stream selector and nothing else."""
        self.weighed.append(asked)
        if "|" in re.sub(r'"(?:[^"\\]|\\.)*"', "", asked["query"]):
            raise Refused("parse error at line 1, col 1: only label matchers are supported")
        _read(asked["query"])
        return {"streams": 3, "chunks": 12, "bytes": self.stored_bytes, "entries": len(self.entries)}

    def version(self, asked: dict[str, str]) -> Any:
        """What a real one says of itself, in short."""
        return {"version": "3.5.7", "revision": "8f22b1f", "goVersion": "go1.24.8"}

    def _streams(self, test: Test, start: int, end: int, limit: int, direction: str) -> Any:
        if limit > MOST_ENTRIES:
            raise Refused(f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > 5000)")
        found = [entry for entry in self.entries if start <= entry.ns < end and test(entry)]
        found.sort(key=lambda entry: entry.ns, reverse=direction == "backward")
        streams: dict[tuple[tuple[str, str], ...], list[list[str]]] = defaultdict(list)
        for entry in found[:limit]:
            streams[tuple(sorted(entry.labels.items()))].append([str(entry.ns), entry.line])
        result = [{"stream": dict(labels), "values": values} for labels, values in streams.items()]
        return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}

    def _matrix(self, counting: Counting, start: int, end: int, step: int) -> Any:
        if (end - start) // step > 11_000:
            raise Refused(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step "
                "parameter"
            )
        series: dict[tuple[tuple[str, str], ...], list[list[Any]]] = defaultdict(list)
        moments = range(start - start % step, -(-end // step) * step + 1, step)
        for at, counted in zip(moments, self._count(counting, moments), strict=True):
            for labels, number in counted.items():
                series[labels].append([at // 10**6 / 1e3, str(number)])
        self._refuse_series(len(series))
        result = [{"metric": dict(labels), "values": values} for labels, values in series.items()]
        return {"status": "success", "data": {"resultType": "matrix", "result": result, "stats": {}}}

    def _count(self, counting: Counting, moments: Sequence[int]) -> list[Counter[tuple[tuple[str, str], ...]]]:
        first, last = moments[0] - counting.offset - counting.length, moments[-1] - counting.offset
        matching = sorted(
            (entry.ns, tuple((name, entry.labels[name]) for name in counting.by if name in entry.labels))
            for entry in self.entries
            if first < entry.ns <= last and counting.lines(entry)
        )
        times = [ns for ns, _ in matching]
        found = []
        for at in moments:
            end = bisect_right(times, at - counting.offset)
            begin = bisect_right(times, at - counting.offset - counting.length)
            found.append(Counter(labels for _, labels in matching[begin:end]))
            self._refuse_series(len(found[-1]))
        return found

    def _refuse_series(self, number: int) -> None:
        if number > self.most_series:
            raise Refused(f"maximum of series ({self.most_series}) reached for a single query")


def _read(query: str) -> Test | Counting:
    """What a query means; keeps whether it could be read, for Grafana's own grammar to agree."""
    try:
        parsed = LogQl(query).parse()
    except Refused as refused:
        if "syntax error" in str(refused):
            READ["logql", query] = False
        raise
    READ["logql", query] = True
    return parsed


def _told(route: Callable[[dict[str, str]], Any]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return JSONResponse(route(dict(request.query_params)))
        except Refused as refused:
            return PlainTextResponse(str(refused), 400)

    return answer


def _stream_test(name: str, sign: str, wanted: str) -> Test:
    return lambda entry: _matches(sign, wanted, entry.stream.get(name, ""))


def _line_filter(sign: str, text: str) -> Test:
    if sign == "|=":
        return lambda entry: text in entry.line
    pattern = _expression(text)
    return lambda entry: pattern.search(entry.line) is not None


def _matches(sign: str, wanted: str, value: str) -> bool:
    match sign:
        case "=":
            return value == wanted
        case "!=":
            return value != wanted
        case "=~":
            return _expression(wanted).fullmatch(value) is not None
        case "!~":
            return _expression(wanted).fullmatch(value) is None
    raise Refused(f"parse error at line 1, col 1: syntax error: unexpected {sign}")


@cache
def _expression(text: str) -> "re.Pattern[str]":
    if refused := re.search(r"\(\?[=!<]", text):
        raise Refused(f"parse error : error parsing regexp: invalid or unsupported Perl syntax: `{refused[0]}`")
    return re.compile(text)


def _length(text: str) -> int:
    found = re.fullmatch(r"(\d+)(ns|us|ms|s|m|h|d)?", text)
    if not found:
        raise Refused(f'parse error at line 1, col 1: not a valid duration string: "{text}"')
    return int(found[1]) * _NS[found[2] or "s"]
