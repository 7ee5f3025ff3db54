"""The log tools' questions to Loki: exact counts by metric queries; lines in pages that tear no lines of one time.

A metric query of Loki counts what lies in (t - range, t], and Loki moves its moments to multiples of the step: so they
are asked there, with an offset that makes each bucket [start, end) to the nanosecond.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from midwatch_kit import BadInput, Check, KitError
from midwatch_kit.logs import Scope, stamp
from midwatch_kit.logs.backend import (
    Around,
    Buckets,
    Filter,
    Found,
    RateRow,
    Seen,
    SourceRow,
    Step,
    TraceSpan,
    Walk,
)
from midwatch_kit.logs.lines import ERROR, WARN, LogLine
from midwatch_kit.parallel import at_once
from midwatch_logs.backends.loki.api import LokiApi
from midwatch_logs.backends.loki.entries import lines_of, writer_of
from midwatch_logs.backends.loki.logql import LogQl, Names
from midwatch_logs.backends.loki.native import MOST_ENTRIES, LogQlQueries
from midwatch_logs.remote import RemoteLogs, Span, ahead, shown_spans, spans_of, walk_span
from midwatch_logs.settings import LokiSettings

_SLICES: Final = 60
_FRESH_NS: Final = 15 * 10**9
_MOST_WEIGHED: Final = 200
_MOST_DATED: Final = 40
_INSTANCES: Final = (
    "service_instance_id", "instance", "pod", "k8s_pod_name", "container", "host", "hostname"
)  # fmt: skip
_LEVELS: Final = ("detected_level", "level", "severity")
_AGO: Final = (3_600, 86_400, 7 * 86_400, 29 * 86_400)
_TOO_MANY_SERIES: Final = "maximum of series"


@dataclass(frozen=True)
class _Counted:
    """Lines of one writer and severity in one bucket."""

    service: str
    instance: str
    severity: int
    bucket: int
    lines: int


class LokiLogs(RemoteLogs):
    """Lines in Loki; it is asked nothing before the first question."""

    def __init__(self, settings: LokiSettings, sample_lines: int) -> None:
        super().__init__(sample_lines)
        self._most_bytes = settings.loki_max_bytes
        self._names = Names(
            service=settings.loki_service_label,
            instances=[settings.loki_instance_label] if settings.loki_instance_label else _INSTANCES,
            levels=[settings.loki_level_label] if settings.loki_level_label else _LEVELS,
            trace=settings.loki_trace_label,
        )
        self._ql = LogQl(self._names, settings.loki_selector)
        self._newest: tuple[int, int | None] = (0, None)
        self._weighed: set[tuple[str, Span]] = set()
        self._api = LokiApi(settings)
        self.native = LogQlQueries(self._api, settings.loki_selector, self._refuse_to_read)

    def describe(self, scope: Scope) -> str:
        """Return the address, the streams and the time."""
        return f"{self._ql.streams()} of {self._api.place} in {shown_spans(scope)}"

    def newest(self) -> int | None:
        """Return the time of the newest line of the last four weeks, as it was some seconds ago at most."""
        now = time.time_ns()
        if now - self._newest[0] < _FRESH_NS:
            return self._newest[1]
        self._newest = (now, self._look_for_newest(now))
        return self._newest[1]

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much; beyond some writers, times are those of buckets."""
        rows: list[SourceRow] = []
        for start, end in spans_of(scope):
            width = max(-(-(end - start) // (_SLICES * 10**6)) * 10**6, 10**9)
            counted = self._counted(start, end, width)
            rows += [_source(writer, of, start, width, end) for writer, of in _by_writer(counted).items()]
        if len(rows) <= _MOST_DATED:
            rows = at_once([partial(self._dated, row) for row in rows])
        by = ", ".join(self._names.of_writers)
        return Found(sorted(rows, key=lambda r: (r.service, r.instance)), f"sum by ({by}) ({self._ql.streams()})")

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket; buckets without a line are left out."""
        rows: list[RateRow] = []
        limits = spans_of(scope)
        last = max((end for _, end in limits), default=0)
        parts = [
            (0, buckets.baseline_start, buckets.baseline_start + buckets.before * buckets.width),
            (buckets.before, buckets.window_start, min(last, buckets.window_start + buckets.after * buckets.width)),
        ]
        for first, start, end in parts:
            counted = _in_order(self._counted(start, end, buckets.width) if start < end else [])
            rows += [RateRow(one.service, one.instance, first + one.bucket, *_levels(one)) for one in counted]
        return Found(rows, self._ql.counted(self._ql.streams(), self._names.of_writers, buckets.width))

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""
        return sum(self._total(self._ql.lines(wanted), span) for span in spans_of(scope, wanted))

    def lines(self, scope: Scope, wanted: Filter | Around, walk: Walk) -> Step:
        """Return the next lines in order."""
        query = self._ql.lines(wanted)
        found: list[LogLine] = []
        for span in ahead(spans_of(scope, wanted), walk):
            found += self._walk_span(query, span, walk, walk.limit + 1 - len(found))
            if len(found) > walk.limit:
                break
        return Step([Seen(line) for line in found[: walk.limit]], len(found) > walk.limit, query)

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are: those with the id as a label, and else those that contain it."""
        for query in (self._ql.of_trace(trace_id), self._ql.containing(trace_id)):
            spans = [found for span in spans_of(scope) if (found := self._trace_in(query, span))]
            if spans:
                writers = sorted({writer for span in spans for writer in span.writers})
                first, last = min(s.first_ns for s in spans), max(s.last_ns for s in spans)
                return TraceSpan(first, last, sum(s.lines for s in spans), tuple(writers))
        return None

    def checks(self) -> list[Check]:
        """Look at Loki: does it answer, which version, may lines be read, are the labels there."""
        try:
            labels = self._labels()
        except KitError as error:
            do = "see that MIDWATCH_LOKI_URL, MIDWATCH_LOKI_TENANT and the credentials are right and that Loki runs"
            return [Check("loki", ok=False, detail=str(error), do=do)]
        return [Check("loki", ok=True, detail=f"{self._api.place} {self._version()}"), *self._layout(labels)]

    def _look_for_newest(self, now: int) -> int | None:
        for seconds in _AGO:
            try:
                found = self._entries(self._ql.streams(), (now - seconds * 10**9, now), 1, forward=False)
            except KitError:  # whoever asks for more than this is told
                return None
            if found:
                return found[0].time_ns
        return None

    def _walk_span(self, query: str, span: Span, walk: Walk, wanted: int) -> list[LogLine]:
        """The lines of a span beyond `walk.after`, at least `wanted` of them if there are as many."""
        self._refuse_too_much(span)

        def read(part: Span, most: int) -> list[LogLine]:
            return self._entries(query, part, most, walk.forward)

        return walk_span(read, span, walk, wanted, MOST_ENTRIES)

    def _entries(self, query: str, span: Span, most: int, forward: bool) -> list[LogLine]:
        """The first lines of a span in order; those of the last time may be incomplete when there are `most`."""
        asked = {"direction": "forward" if forward else "backward", "limit": most}
        answer = self._ask("query_range", query, {"start": span[0], "end": span[1], **asked})
        found = list(lines_of(answer.get("result", []), self._names))
        return sorted(found, key=lambda line: line.place, reverse=not forward)

    def _counted(self, start: int, end: int, width: int) -> list[_Counted]:
        """Lines by writer, severity and bucket of [start, end); the last bucket may be a part of one."""
        full, rest = divmod(end - start, width)
        self._refuse_too_much((start, end))
        try:
            return self._counted_by(self._names.of_writers, start, end, width, full, rest)
        except BadInput as error:
            if _TOO_MANY_SERIES not in str(error):
                raise
        by = [self._names.service, *self._names.levels]  # so many instances that Loki counts them together only
        return self._counted_by(by, start, end, width, full, rest)

    def _counted_by(self, by: Sequence[str], start: int, end: int, width: int, full: int, rest: int) -> list[_Counted]:
        found: list[_Counted] = []
        if full:
            found += self._series(by, start, width, full)
        if rest:
            query = self._ql.counted(self._ql.streams(), by, rest)
            answer = self._ask("query", query, {"time": end - 1})
            found += [self._as_counted(one["metric"], full, one["value"][1]) for one in answer.get("result", [])]
        return [counted for counted in found if counted.lines]

    def _series(self, by: Sequence[str], start: int, width: int, full: int) -> Iterable[_Counted]:
        """Counts of `full` buckets, asked at multiples of the step; see the module."""
        first = -(-(start + width) // width) * width
        query = self._ql.counted(self._ql.streams(), by, width, first - (start + width) + 1)
        if full == 1:
            answer = self._ask("query", query, {"time": first})
            return [self._as_counted(one["metric"], 0, one["value"][1]) for one in answer.get("result", [])]
        asked = {"start": first, "end": first + (full - 1) * width, "step": f"{width // 10**6}ms"}
        answer = self._ask("query_range", query, asked)
        return [
            self._as_counted(one["metric"], round((float(at) * 1e9 - first) / width), value)
            for one in answer.get("result", [])
            for at, value in one["values"]
        ]

    def _as_counted(self, labels: dict[str, str], bucket: int, value: str) -> _Counted:
        return _Counted(*writer_of(labels, self._names), bucket, round(float(value)))

    def _total(self, query: str, span: Span) -> int:
        self._refuse_too_much(span)
        answer = self._ask("query", self._ql.counted(query, (), span[1] - span[0]), {"time": span[1] - 1})
        return sum(round(float(one["value"][1])) for one in answer.get("result", []))

    def _dated(self, row: SourceRow) -> SourceRow:
        """The same, with the times of its first and last line instead of those of buckets."""
        query = self._ql.lines(Around("", 0, 0, ((row.service, row.instance),)))
        first = self._entries(query, (row.first_ns, row.last_ns), 1, forward=True)
        last = self._entries(query, (row.first_ns, row.last_ns), 1, forward=False)
        times = (first[0].time_ns, last[0].time_ns) if first and last else (row.first_ns, row.last_ns)
        return SourceRow(row.service, row.instance, row.lines, row.warn, row.error, *times)

    def _trace_in(self, query: str, span: Span) -> TraceSpan | None:
        first = self._entries(query, span, 1, forward=True)
        if not first:
            return None
        last = self._entries(query, span, 1, forward=False)
        counting = self._ql.counted(query, self._names.of_writers, span[1] - span[0])
        answer = self._ask("query", counting, {"time": span[1] - 1})
        counted = [self._as_counted(one["metric"], 0, one["value"][1]) for one in answer.get("result", [])]
        writers = sorted({(one.service, one.instance) for one in counted})
        return TraceSpan(first[0].time_ns, last[0].time_ns, sum(one.lines for one in counted), tuple(writers))

    def _refuse_too_much(self, span: Span) -> None:
        self._refuse_to_read([self._ql.streams()], span)

    def _refuse_to_read(self, selectors: Sequence[str], span: Span) -> None:
        """Ask how much Loki would read of streams before it does; one that cannot tell is let do it."""
        asked = [selector for selector in dict.fromkeys(selectors) if (selector, span) not in self._weighed]
        told = {selector: found for selector in asked if (found := self._weight(selector, span))}
        size, chunks = (sum(of.get(name, 0) for of in told.values()) for name in ("bytes", "chunks"))
        if size > self._most_bytes:
            raise BadInput(
                f"Loki would read up to {size / 2**30:.1f} GiB in {chunks} chunks for this, and one "
                f"question may take {self._most_bytes / 2**30:.1f} GiB: narrow the window, name services, or raise "
                "MIDWATCH_LOKI_MAX_BYTES"
            )
        self._weighed = (set() if len(self._weighed) > _MOST_WEIGHED else self._weighed) | {(of, span) for of in told}

    def _weight(self, selector: str, span: Span) -> dict[str, int]:
        with suppress(KitError):
            asked: dict[str, str | int] = {"query": selector, "start": span[0], "end": span[1]}
            told = self._api.get("/loki/api/v1/index/stats", asked)
            return told if isinstance(told, dict) else {}
        return {}

    def _ask(self, path: str, query: str, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._api.get(f"/loki/api/v1/{path}", {"query": query, **asked})
        except BadInput as error:
            raise BadInput(f"{error} -- in {query[:300]}") from None
        data = answer.get("data") if isinstance(answer, dict) else None
        return data if isinstance(data, dict) else {}

    def _labels(self) -> list[str]:
        now = time.time_ns()
        answer = self._api.get("/loki/api/v1/labels", {"start": now - _AGO[-1] * 10**9, "end": now})
        return list(answer.get("data") or []) if isinstance(answer, dict) else []

    def _version(self) -> str:
        try:
            return str(self._api.get("/loki/api/v1/status/buildinfo", {}).get("version", "of unknown version"))
        except (KitError, AttributeError):
            return "of unknown version"

    def _layout(self, labels: Sequence[str]) -> list[Check]:
        service = self._names.service
        if not labels:
            return [
                Check("lines", ok=False, detail="no stream in four weeks", do="see that something sends logs to it")
            ]
        if service not in labels:
            near = get_close_matches(service, labels, 1) or [n for n in ("app", "job", "service") if n in labels][:1]
            advice = f"set MIDWATCH_LOKI_SERVICE_LABEL, to {near[0]} perhaps" if near else "set the label to use"
            detail = f"no label {service}; there are {', '.join(labels[:12])}"
            return [Check("labels", ok=False, detail=detail, do=advice)]
        return [Check("labels", ok=True, detail=f"{service} names services"), self._freshness()]

    def _freshness(self) -> Check:
        try:
            newest = self.newest()
        except KitError as error:
            return Check("lines", ok=False, detail=str(error), do="see what Loki says of its storage")
        if newest is None:
            return Check("lines", ok=False, detail="none in four weeks", do="see that something sends logs to it")
        late = max(0.0, (time.time_ns() - newest) / 1e9)
        detail = f"the newest is of {stamp(newest, 3)}, {late:.0f} s ago"
        return Check("lines", ok=late <= 300, detail=detail, do="" if late <= 300 else "see that logs are being sent")


def _levels(counted: _Counted) -> tuple[int, int, int]:
    """All lines, those of WARN alone, and those that are worse."""
    warn, error = WARN <= counted.severity < ERROR, counted.severity >= ERROR
    return counted.lines, counted.lines * warn, counted.lines * error


def _in_order(counted: Iterable[_Counted]) -> Iterable[_Counted]:
    return sorted(counted, key=lambda one: (one.service, one.instance, one.bucket, one.severity))


def _by_writer(counted: Iterable[_Counted]) -> dict[tuple[str, str], list[_Counted]]:
    found: dict[tuple[str, str], list[_Counted]] = {}
    for one in counted:
        found.setdefault((one.service, one.instance), []).append(one)
    return found


def _source(writer: tuple[str, str], counted: Sequence[_Counted], start: int, width: int, end: int) -> SourceRow:
    lines, warn, error = (sum(values) for values in zip(*map(_levels, counted), strict=True))
    first, last = min(one.bucket for one in counted), max(one.bucket for one in counted)
    begun, ended = start + first * width, min(end, start + (last + 1) * width)
    return SourceRow(*writer, lines, warn, error, begun, ended)
