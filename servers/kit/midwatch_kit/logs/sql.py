"""A log backend for whoever can run DuckDB's SQL over a relation called `lines`. It holds SQL text, and no DuckDB.

`lines` has the columns time TIMESTAMP_NS, seq BIGINT, severity INTEGER, service, instance, message, trace_id VARCHAR
(never NULL), attributes MAP(VARCHAR, VARCHAR); (time, seq) is a total order. Where the lines come from, and how a
scope is kept, is the business of the relation: an embedded store, files in a bucket.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from midwatch_kit.check import Check
from midwatch_kit.errors import BadInput
from midwatch_kit.logs.backend import (
    Around,
    Buckets,
    Filter,
    Found,
    PatternRow,
    RateRow,
    Scope,
    Seen,
    SourceRow,
    Step,
    StepRow,
    TraceSpan,
    Walk,
)
from midwatch_kit.logs.lines import ERROR, MAX_MESSAGE, WARN, LogLine
from midwatch_kit.records import Window
from midwatch_kit.statistics import FURTHER, LONGEST_LINE, MASKS, MOST_DISTINCT

Parameters = Mapping[str, object]
Rows = list[tuple[Any, ...]]
Place = tuple[int, int]

_COUNTS: Final = f"""count(*) AS lines, count_if(severity >= {WARN} AND severity < {ERROR}) AS warn,
    count_if(severity >= {ERROR}) AS error"""
_LINE: Final = f"""epoch_ns(time), seq, severity, service, instance, left(message, {MAX_MESSAGE}), trace_id,
    greatest(length(message) - {MAX_MESSAGE}, 0), attributes"""
_SOURCES: Final = """SELECT service, instance, {counts}, epoch_ns(min(time)), epoch_ns(max(time))
    FROM lines GROUP BY ALL ORDER BY ALL"""
_RATES: Final = """SELECT service, instance, CASE WHEN epoch_ns(time) >= $window
    THEN $before + (epoch_ns(time) - $window) // $width ELSE (epoch_ns(time) - $baseline) // $width END AS bucket,
    {counts} FROM lines WHERE epoch_ns(time) >= $baseline GROUP BY ALL ORDER BY ALL"""
_PATTERNS: Final = """SELECT CASE WHEN kind <= {most} THEN text ELSE
        format('{further}', len(list_filter(string_split(text, ' '), lambda word: word <> ''))) END,
    service, instance, level, recent, sum(lines)::BIGINT, epoch_ns(min(first).time), arg_min(exemplar, first)
    FROM (SELECT *, dense_rank() OVER (ORDER BY text) AS kind FROM (SELECT {mask} AS text, service, instance, level,
        recent, sum(lines) AS lines, min(first) AS first, arg_min(left(message, {exemplar}), first) AS exemplar
        FROM (SELECT left(message, {longest}) AS message, service, instance,
            least(greatest(severity - 1, 0) // 4 * 4 + 1, 21) * (severity > 0)::INTEGER AS level,
            epoch_ns(time) >= $window AS recent, count(*) AS lines, min({{'time': time, 'seq': seq}}) AS first
            FROM lines WHERE {condition} GROUP BY ALL) GROUP BY ALL)) GROUP BY 1, 2, 3, 4, 5 ORDER BY ALL"""
_STEPS: Final = """SELECT * FROM (WITH told AS (SELECT service, trace_id, time, seq, severity, {text} AS text,
        min(epoch_ns(time)) OVER (PARTITION BY service, trace_id) AS began
        FROM lines WHERE {condition} AND trace_id <> '' AND ($every = 1 OR hash(trace_id) % $every = 0)),
    ordered AS (SELECT service, trace_id, began, text, severity >= {warn} AS bad, row_number() OVER inside AS number,
        lead(text, 1, '') OVER inside AS next, lead(severity >= {warn}, 1, false) OVER inside AS next_bad
        FROM told WINDOW inside AS (PARTITION BY service, trace_id ORDER BY time, seq)),
    steps AS (SELECT service, trace_id, began, text AS after, next, next_bad AS bad FROM ordered
        UNION ALL SELECT service, trace_id, began, '', text, bad FROM ordered WHERE number = 1),
    ways AS (SELECT *, count(*) AS taken FROM steps GROUP BY ALL),
    shares AS (SELECT *, 1000000 * taken // sum(taken) OVER (PARTITION BY service, trace_id, after) AS share FROM ways)
    SELECT service, after, next, bad, CASE WHEN began >= $window THEN $before + (began - $window) // $width
        ELSE (began - $baseline) // $width END AS bucket, sum(share)::BIGINT
    FROM shares WHERE began >= $baseline GROUP BY ALL) ORDER BY ALL"""
_STEPS_SHOWN: Final = """SELECT service, line, lead(line) OVER (PARTITION BY service, trace_id ORDER BY time),
    count(*) … FROM lines WHERE {condition} AND trace_id <> '' GROUP BY ALL"""
_PLACE: Final = """coalesce(attributes['code.file.path'], attributes['code.filepath'], attributes['code.function.name'],
    attributes['code.namespace']) || ':' || coalesce(attributes['code.line.number'], attributes['code.lineno'])"""
_RATES_SHOWN: Final = "SELECT service, instance, (time - window) // {seconds:g} s, count(*) … FROM lines GROUP BY ALL"
_PATTERNS_SHOWN: Final = "SELECT mask(message), service, level, count(*) … FROM lines WHERE {condition} GROUP BY ALL"
_COUNT: Final = "SELECT count(*) FROM lines WHERE {condition}"
_PLACES: Final = """SELECT {columns} FROM lines WHERE {condition}
    ORDER BY time {order}, seq {order} LIMIT {limit}"""
_TRACE: Final = """SELECT epoch_ns(min(time)), epoch_ns(max(time)), count(*), list(DISTINCT [service, instance])
    FROM lines WHERE trace_id = $trace"""
_BETWEEN: Final = "time >= make_timestamp_ns($first) AND time <= make_timestamp_ns($last)"
_CONTEXT: Final = """SELECT epoch_ns(time), seq FROM (
    SELECT time, seq, max((seq IN (SELECT unnest($hits)))::INTEGER) OVER (PARTITION BY service, instance
    ORDER BY time, seq ROWS BETWEEN {context} PRECEDING AND {context} FOLLOWING) AS near
    FROM lines WHERE {between}) WHERE near = 1"""
_FETCH: Final = "SELECT {line} FROM lines WHERE seq IN (SELECT unnest($seqs)) AND {between}"
_EXEMPLAR_CHARS: Final = 300
_NEIGHBOURHOOD_NS: Final = 60 * 10**9
_LEVEL_TEXTS: Final = (
    ("^(fatal|crit|alert|emerg|panic)", 21),
    ("^(err|severe)", 17),
    ("^warn", 13),
    ("^(info|notice)", 9),
    ("^debug", 5),
    ("^trace", 1),
)


def severity_of(text: str) -> str:
    """Return the SQL expression for the severity number that the SQL expression `text` names, 0 for none."""
    cases = " ".join(f"WHEN regexp_matches({text}, '{pattern}', 'i') THEN {number}" for pattern, number in _LEVEL_TEXTS)
    return f"CASE {cases} ELSE 0 END"


class Relation(Protocol):
    """Whoever can run SQL over `lines`."""

    def run(self, sql: str, parameters: Parameters, scope: Scope) -> Rows:
        """Return the rows of a SELECT over `lines`, which holds exactly the lines of the scope."""

    def describe(self, scope: Scope) -> str:
        """Return in a few words what `lines` is for this scope: which table or objects, how much was read."""

    def pin(self, windows: Sequence[Window]) -> int:
        """Return the mark of what is stored now."""

    def newest(self) -> int | None:
        """Return the time of the newest line in ns, or None when there is none."""

    def checks(self) -> Sequence[Check]:
        """Look at the relation's source and say how it is."""


class SqlLogs:
    """The log tools' questions as SQL over a relation."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self.describe = relation.describe
        self.pin = relation.pin
        self.newest = relation.newest
        self.checks = relation.checks

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much."""
        sql = _SOURCES.format(counts=_COUNTS)
        rows = self._relation.run(sql, {}, scope)
        return Found([SourceRow(*row) for row in rows], _shown(sql, {}))

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket; buckets without a line are left out."""
        sql = _RATES.format(counts=_COUNTS)
        rows = self._relation.run(sql, _slices(buckets), scope)
        return Found([RateRow(*row) for row in rows], _RATES_SHOWN.format(seconds=buckets.width / 1e9))

    def patterns(self, scope: Scope, wanted: Filter, window_start: int) -> Found[PatternRow]:
        """Return masked texts with counts; a line is in the window from `window_start` (ns) on."""
        condition, parameters = _condition(wanted)
        parts = {"condition": condition, "exemplar": _EXEMPLAR_CHARS, "most": MOST_DISTINCT, "further": FURTHER}
        sql = _PATTERNS.format(mask=_masked(), longest=LONGEST_LINE, **parts)
        parameters = {**parameters, "window": window_start}
        rows = self._relation.run(sql, parameters, scope)
        shown = _PATTERNS_SHOWN.format(condition=condition)
        return Found([PatternRow(*row) for row in rows], _shown(shown, parameters))

    def steps(self, scope: Scope, wanted: Filter, buckets: Buckets, every: int) -> Found[StepRow]:
        """Return what follows what in the lines of traces, of one in `every` traces.

        A line is known by its place in the code, where its attributes tell it, and else by its masked text.
        """
        condition, parameters = _condition(wanted)
        sql = _STEPS.format(text=f"coalesce({_PLACE}, {_masked()})", condition=condition, warn=WARN)
        rows = self._relation.run(sql, {**parameters, **_slices(buckets), "every": every}, scope)
        return Found([StepRow(*row) for row in rows], _shown(_STEPS_SHOWN.format(condition=condition), parameters))

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""
        condition, parameters = _condition(wanted)
        sql = _COUNT.format(condition=condition)
        return int(self._relation.run(sql, parameters, scope)[0][0])

    def step(self, scope: Scope, wanted: Filter | Around, walk: Walk, context: int = 0) -> Step:
        """Return the next lines in order; with `context`, that many lines of its writer on each side of a hit too.

        Places are found first and lines fetched by place, so that long messages are read for few lines only.
        """
        condition, parameters = _condition(wanted)
        beyond, place = _beyond(walk)
        condition = " AND ".join(part for part in (condition, beyond) if part not in ("", "true")) or "true"
        order = "ASC" if walk.forward else "DESC"
        parts = {"condition": condition, "order": order, "limit": walk.limit + 1}
        sql = _PLACES.format(columns="epoch_ns(time), seq", **parts)
        found = self._relation.run(sql, {**parameters, **place}, scope)
        hits = [(int(time), int(seq)) for time, seq in found[: walk.limit]]
        shown = _shown(_PLACES.format(columns="*", **parts), {**parameters, **place})
        if not hits:
            return Step([], more=False, query=shown)
        places = self._with_context(scope, hits, context) if context else hits
        chosen = set(hits)
        lines = sorted(self._fetch(scope, places), key=lambda line: line.place, reverse=not walk.forward)
        return Step([Seen(line, line.place in chosen) for line in lines], len(found) > walk.limit, shown)

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are, or None when there are none."""
        ((first, last, lines, writers),) = self._relation.run(_TRACE, {"trace": trace_id}, scope)
        if not lines:
            return None
        return TraceSpan(first, last, lines, tuple(sorted((service, instance) for service, instance in writers)))

    def _with_context(self, scope: Scope, hits: Sequence[Place], context: int) -> list[Place]:
        """The hits, and `context` lines of the same writer on each side of each, at most a minute away."""
        sql = _CONTEXT.format(context=context, between=_BETWEEN)
        times = [time for time, _ in hits]
        bounds = {"first": min(times) - _NEIGHBOURHOOD_NS, "last": max(times) + _NEIGHBOURHOOD_NS}
        rows = self._relation.run(sql, {"hits": [seq for _, seq in hits], **bounds}, scope)
        return [(int(time), int(seq)) for time, seq in rows]

    def _fetch(self, scope: Scope, places: Sequence[Place]) -> list[LogLine]:
        sql = _FETCH.format(line=_LINE, between=_BETWEEN)
        times = [time for time, _ in places]
        parameters = {"seqs": [seq for _, seq in places], "first": min(times), "last": max(times)}
        return [_line(row) for row in self._relation.run(sql, parameters, scope)]


def _slices(buckets: Buckets) -> dict[str, object]:
    return {
        "window": buckets.window_start,
        "baseline": buckets.baseline_start,
        "before": buckets.before,
        "width": buckets.width,
    }


def _condition(wanted: Filter | Around) -> tuple[str, dict[str, object]]:
    if isinstance(wanted, Around):
        writers = [[*writer] for writer in wanted.writers]
        own = "[service, instance] IN (SELECT unnest($writers))"
        condition = f"(trace_id = $trace OR {own}) AND {_BETWEEN}"
        bounds = {"first": wanted.first_ns, "last": wanted.last_ns}
        return condition, {"trace": wanted.trace_id, "writers": writers, **bounds}
    parts: list[str] = []
    parameters: dict[str, object] = {}
    if wanted.text:
        parts.append("regexp_matches(message, $text)" if wanted.regex else "contains(lower(message), lower($text))")
        parameters["text"] = _readable_pattern(wanted.text) if wanted.regex else wanted.text
    if wanted.severity:
        parts.append(f"severity >= {wanted.severity}")
    writers_of = {"service": wanted.services, "instance": wanted.instances}
    if named := {column: list(names) for column, names in writers_of.items() if names}:
        parts.append("(" + " OR ".join(f"{column} IN (SELECT unnest(${column}s))" for column in named) + ")")
        parameters |= {f"{column}s": names for column, names in named.items()}
    return " AND ".join(parts) or "true", parameters


def _readable_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInput(f"cannot read the regular expression {pattern[:80]!r}: {error}") from None
    return pattern


def _beyond(walk: Walk) -> tuple[str, dict[str, object]]:
    if walk.after is None:
        return "", {}
    sign = ">" if walk.forward else "<"
    at = "make_timestamp_ns($after)"
    time, seq = walk.after
    return f"time {sign}= {at} AND (time {sign} {at} OR seq {sign} $after_seq)", {"after": time, "after_seq": seq}


def _masked() -> str:
    expression = f"left(message, {LONGEST_LINE})"
    for pattern, replacement in MASKS:
        quoted = [text.replace("'", "''") for text in (pattern, replacement)]
        expression = f"regexp_replace({expression}, '{quoted[0]}', '{quoted[1]}', 'g')"
    return expression


def _line(row: tuple[Any, ...]) -> LogLine:
    time, seq, severity, service, instance, message, trace_id, cut, attributes = row
    return LogLine(
        time,
        seq,
        severity,
        service,
        instance,
        message,
        trace_id,
        cut,
        {k: v for k, v in (attributes or {}).items() if v},
    )


def _shown(sql: str, parameters: Parameters) -> str:
    """The SQL on one line, with its parameters filled in, for people to read."""
    return re.sub(r"\$(\w+)", lambda match: _literal(parameters[match[1]]), " ".join(sql.split()))


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value)
