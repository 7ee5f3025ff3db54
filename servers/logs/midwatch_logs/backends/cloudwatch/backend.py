"""The log tools' questions to CloudWatch Logs: counts and searches by Logs Insights, plain lines by FilterLogEvents.

Insights reads, and bills, all that a log group has of a time, whatever is looked for. So each query is weighed before,
what it read is told after, and what one query has given is not asked for by another.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from midwatch_kit import Check, KitError
from midwatch_kit.aws import Denied, in_words, patience, session
from midwatch_kit.logs import Scope, stamp
from midwatch_kit.logs.backend import Around, Buckets, Filter, Found, RateRow, Seen, SourceRow, Step, TraceSpan, Walk
from midwatch_kit.logs.lines import ERROR, WARN, LogLine
from midwatch_kit.parallel import at_once
from midwatch_logs.backends.cloudwatch import plain
from midwatch_logs.backends.cloudwatch.events import instance_of, line_of, time_in
from midwatch_logs.backends.cloudwatch.groups import LogGroup, LogGroups
from midwatch_logs.backends.cloudwatch.insights import Insights, Row, Rows
from midwatch_logs.backends.cloudwatch.native import InsightsQueries
from midwatch_logs.backends.cloudwatch.ql import MOST_ROWS, InsightsQl
from midwatch_logs.backends.cloudwatch.writers import Writers
from midwatch_logs.remote import RemoteLogs, Span, ahead, is_beyond, severity_in, shown_spans, spans_of, walk_span
from midwatch_logs.settings import CloudWatchLogsSettings

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

READ_SECONDS: Final = 25.0
READ_AHEAD: Final = 1_000
"""Lines that are read when a search is counted, so that a second query need not read all again."""
_MS: Final = 10**6
_KEPT: Final = 32
_FRESH_NS: Final = 15 * 10**9
_LATE_SECONDS: Final = 300
_AGO: Final = (3_600, 86_400, 28 * 86_400)
_MOST_LOOKED_AT: Final = 10
_PAGES_LOOKED_AT: Final = 10
_MOST_CHECKED: Final = 3
"""Kinds of line that a survey looks for in the whole baseline: each is a query of its own, which is billed."""
_WRITERS: Final = ("@log", "@logStream")
_EVERYTHING: Final = Filter()
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class _Counted:
    """Lines of one writer and severity in one bucket, with the times of the first and the last (ns)."""

    service: str
    instance: str
    severity: int
    bucket: int
    lines: int
    first_ns: int
    last_ns: int

    @property
    def levels(self) -> tuple[int, int, int]:
        """All lines, those of WARN alone, and those that are worse."""
        return self.lines, self.lines * (WARN <= self.severity < ERROR), self.lines * (self.severity >= ERROR)


@dataclass(frozen=True)
class _Newest:
    """The newest lines that match, newest first, and whether those are all."""

    lines: Sequence[LogLine]
    whole: bool

    def beyond(self, walk: Walk) -> Sequence[LogLine] | None:
        """Return the lines that a walk comes to, one more than its limit if there are as many; None when not known."""
        if walk.forward and not self.whole:
            return None
        sure = [line for line in self.lines if self.whole or line.time_ns != self.lines[-1].time_ns]
        found = [line for line in (reversed(sure) if walk.forward else sure) if is_beyond(line, walk)]
        return found[: walk.limit + 1] if self.whole or len(found) > walk.limit else None


class CloudWatchLogs(RemoteLogs):
    """Lines in the log groups that the settings name; AWS is asked nothing before the first question."""

    def __init__(self, settings: CloudWatchLogsSettings, sample_lines: int) -> None:
        super().__init__(sample_lines, _MOST_CHECKED)
        self._settings = settings
        self._groups = LogGroups(settings.cloudwatch_log_groups, settings.cloudwatch_logs_services)
        self._insights = Insights(settings.cloudwatch_logs_max_bytes)
        self.native = InsightsQueries(lambda: self._client, self._groups, self._insights)
        self._writers = Writers()
        self._lock = threading.Lock()
        self._made: CloudWatchLogsClient | None = None
        self._scanned: OrderedDict[int, int] = OrderedDict()
        self._found: OrderedDict[tuple[Scope, Filter | Around], _Newest] = OrderedDict()
        self._counts: OrderedDict[tuple[int, Span, int], Sequence[_Counted]] = OrderedDict()
        self._newest: tuple[int, int | None] = (0, None)

    def describe(self, scope: Scope) -> str:
        """Return the log groups as they are set, and the time."""
        return f"log groups {', '.join(self._settings.cloudwatch_log_groups)} in {shown_spans(scope)}"

    def newest(self) -> int | None:
        """Return the time of the newest line of the largest log groups, as it was some seconds ago at most."""
        now = time.time_ns()
        if now - self._newest[0] >= _FRESH_NS:
            self._newest = (now, None)
            with suppress(KitError):  # whoever asks for more than this is told
                self._newest = (now, self._look_for_newest(now))
        return self._newest[1]

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much."""
        found: dict[tuple[str, str], SourceRow] = {}
        for span in spans_of(scope):
            for one in self._counted(scope.pin, span, _EVERYTHING, span[1] - span[0]):
                new = SourceRow(one.service, one.instance, *one.levels, one.first_ns, one.last_ns)
                known = found.get((one.service, one.instance))
                found[one.service, one.instance] = _together(known, new) if known else new
        rows = [found[writer] for writer in sorted(found)]
        return Found(rows, self._told(scope, "stats count(*) by @log, @logStream, level"))

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket; buckets without a line are left out."""
        last = max((end for _, end in spans_of(scope)), default=0)
        window_end = min(last, buckets.window_start + buckets.after * buckets.width)
        periods = [
            (0, buckets.before, (buckets.baseline_start, buckets.baseline_start + buckets.before * buckets.width)),
            (buckets.before, buckets.after, (buckets.window_start, window_end)),
        ]
        asked = [(first, number, span) for first, number, span in periods if span[0] < span[1]]
        calls = [partial(self._counts_of, scope.pin, span, buckets.width) for _, _, span in asked]
        found: dict[tuple[str, str, int], list[int]] = {}
        for (first, number, _), counted in zip(asked, at_once(calls), strict=True):
            for one in counted:
                row = found.setdefault((one.service, one.instance, first + min(one.bucket, number - 1)), [0, 0, 0])
                row[:] = [before + more for before, more in zip(row, one.levels, strict=True)]
        rows = [RateRow(*place, *counts) for place, counts in sorted(found.items())]
        by = f"stats count(*) by @log, @logStream, level, {buckets.width / 1e9:g} s"
        return Found(rows, self._told(scope, by))

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""
        spans = spans_of(scope, wanted)
        if len(spans) == 1 and isinstance(wanted, Filter) and (wanted.text or wanted.severity):
            first = self._read_ahead(scope, wanted, spans[0])
            if first.whole:
                return len(first.lines)
        return sum(self._total(scope.pin, span, wanted) for span in spans)

    def lines(self, scope: Scope, wanted: Filter | Around, walk: Walk) -> Step:
        """Return the next lines in order."""
        known = self._found.get((scope, wanted))
        found = list(known.beyond(walk) or []) if known else []
        query = self._query_told(scope, wanted, walk)
        if not found and not (known and known.whole):
            for span in ahead(spans_of(scope, wanted), walk):
                more, query = self._walk_span(scope, wanted, span, walk, walk.limit + 1 - len(found))
                found += more
                if len(found) > walk.limit:
                    break
        return Step([Seen(line) for line in found[: walk.limit]], len(found) > walk.limit, query)

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are: those that contain its id."""
        wanted = Filter(trace_id)
        counted = [one for span in spans_of(scope) for one in self._counted(scope.pin, span, wanted, span[1] - span[0])]
        if not counted:
            return None
        writers = sorted({(one.service, one.instance) for one in counted})
        first, last = min(one.first_ns for one in counted), max(one.last_ns for one in counted)
        return TraceSpan(first, last, sum(one.lines for one in counted), tuple(writers))

    def checks(self) -> list[Check]:
        """Look at CloudWatch: are the log groups there, may lines be read and queried, how old is the newest line."""
        try:
            groups = self._groups.all(self._client)
        except KitError as error:
            do = "see MIDWATCH_CLOUDWATCH_LOG_GROUPS and MIDWATCH_AWS_REGION, and docs/logs.md for the policy"
            return [Check("cloudwatch", ok=False, detail=str(error), do=do)]
        stored = sum(group.stored_bytes for group in groups)
        detail = f"{len(groups)} log groups in {self._client.meta.region_name}, {stored / 2**30:.2f} GiB stored"
        return [Check("cloudwatch", ok=True, detail=detail), self._freshness(), *self._may_query(groups)]

    def _freshness(self) -> Check:
        try:
            newest = self._look_for_newest(time.time_ns())
        except Denied as error:
            return Check("lines", ok=False, detail=str(error), do=f"allow {error.permission} on these log groups")
        except KitError as error:
            return Check("lines", ok=False, detail=str(error), do="see what CloudWatch says of itself")
        if newest is None:
            return Check("lines", ok=False, detail="none in four weeks", do="see that something sends logs there")
        self._newest = (time.time_ns(), newest)
        late = max(0.0, (time.time_ns() - newest) / 1e9)
        detail = f"the newest is of {stamp(newest, 3)}, {late:.0f} s ago"
        fresh = late <= _LATE_SECONDS
        return Check("lines", ok=fresh, detail=detail, do="" if fresh else "see that logs are being sent")

    def _may_query(self, groups: Sequence[LogGroup]) -> list[Check]:
        """Whether queries may be started, read and stopped, by one of a second that hardly reads anything."""
        now = time.time_ns() // 10**9 * 10**9
        try:
            self._insights.ask(self._client, groups[:1], (now - 10**9, now), "fields @timestamp | limit 1", 1)
            self._insights.stop_nothing(self._client)
        except Denied as error:
            return [
                Check(
                    "queries", ok=False, detail=str(error), do=f"allow {error.permission}; docs/logs.md has the policy"
                )
            ]
        except KitError as error:
            return [Check("queries", ok=False, detail=str(error), do="ask again later")]
        return [Check("queries", ok=True, detail="Logs Insights may be asked, and stopped")]

    @property
    def _client(self) -> "CloudWatchLogsClient":
        with self._lock:
            if self._made is None:
                settings = self._settings
                opened = session(settings.aws_region, settings.aws_profile)
                url = str(settings.aws_endpoint_url) if settings.aws_endpoint_url else None
                with in_words("CloudWatch Logs", "the calls in docs/logs.md"):
                    self._made = opened.client("logs", endpoint_url=url, config=patience(READ_SECONDS, at_once=8))
            return self._made

    def _chosen(self, wanted: Filter | Around) -> Sequence[LogGroup]:
        """The log groups that may have lines that match."""
        groups = self._groups.all(self._client)
        if isinstance(wanted, Around):
            names = {service for service, _ in wanted.writers}
            return [group for group in groups if group.service in names]
        if wanted.services and not wanted.instances:
            return [group for group in groups if group.service in wanted.services]
        return groups

    @property
    def _ql(self) -> InsightsQl:
        names: dict[str, list[str]] = {}
        for group in self._groups.all(self._client):
            names.setdefault(group.service, []).append(group.name)
        return InsightsQl(names)

    def _ask(self, pin: int, groups: Sequence[LogGroup], span: Span, query: str, most: int | None = None) -> Rows:
        found = self._insights.ask(self._client, groups, span, query, most or MOST_ROWS)
        with self._lock:
            self._scanned[pin] = self._scanned.get(pin, 0) + found.scanned
            _forget(self._scanned)
        return found

    def _told(self, scope: Scope, query: str) -> str:
        """A query for people, with what all queries of this tool have read so far."""
        return f"{query} -- Insights read {self._scanned.get(scope.pin, 0) / 2**20:.1f} MiB in all so far"

    def _query_told(self, scope: Scope, wanted: Filter | Around, walk: Walk) -> str:
        span = (spans_of(scope, wanted) or [(0, 0)])[0]
        query = self._ql.listed(span, wanted, walk.limit, walk.forward)
        return self._told(scope, " ".join(query.split("\n")))

    def _total(self, pin: int, span: Span, wanted: Filter | Around) -> int:
        rows = self._ask(pin, self._chosen(wanted), span, self._ql.total(span, wanted)).rows
        return sum(round(float(row["mw_lines"])) for row in rows)

    def _counts_of(self, pin: int, span: Span, width: int) -> Sequence[_Counted]:
        """Counts of all lines by bucket, put together of finer ones that are known where that goes."""
        for (of_pin, (start, end), finer), counted in list(self._counts.items()):
            within = start <= span[0] and span[1] <= end and (span[1] == end or (span[1] - start) % finer == 0)
            if of_pin == pin and within and width % finer == 0 and (span[0] - start) % finer == 0:
                first, number = (span[0] - start) // finer, -(-(span[1] - span[0]) // finer)
                return [
                    replace(one, bucket=(one.bucket - first) * finer // width)
                    for one in counted
                    if first <= one.bucket < first + number
                ]
        found = self._counted(pin, span, _EVERYTHING, width)
        with self._lock:
            self._counts[pin, span, width] = found
            _forget(self._counts)
        return found

    def _counted(self, pin: int, span: Span, wanted: Filter, width: int) -> list[_Counted]:
        """Counts by writer, level and bucket; in halves where there are more rows than an answer has."""
        groups, (start, end) = self._chosen(wanted), span
        found = self._ask(pin, groups, span, self._ql.counted(span, wanted, width, _WRITERS))
        buckets = -(-(end - start) // width)
        if found.full and buckets > 1:
            half = buckets // 2
            middle = start + half * width
            later = self._counted(pin, (middle, end), wanted, width)
            earlier = self._counted(pin, (start, middle), wanted, width)
            return earlier + [replace(one, bucket=one.bucket + half) for one in later]
        if found.full:  # so many instances that services are counted as wholes
            found = self._ask(pin, groups, span, self._ql.counted(span, wanted, width, _WRITERS[:1]))
        return [self._count_in(row, groups) for row in found.rows]

    def _count_in(self, row: Row, groups: Sequence[LogGroup]) -> _Counted:
        group, stream = _group_in(row, groups), row.get("@logStream", "")
        if stream:
            self._writers.note(group.service, group.name, stream)
        lines, bucket, first, last = (
            round(float(row[name])) for name in ("mw_lines", "mw_bucket", "mw_first", "mw_last")
        )
        severity = severity_in(row.get("mw_level", ""))
        return _Counted(group.service, instance_of(stream), severity, bucket, lines, first * _MS, last * _MS)

    def _read_ahead(self, scope: Scope, wanted: Filter, span: Span) -> _Newest:
        lines = self._listed(scope.pin, self._chosen(wanted), span, wanted, READ_AHEAD, forward=False)
        found = _Newest(lines, len(lines) < READ_AHEAD)
        with self._lock:
            self._found[scope, wanted] = found
            _forget(self._found)
        return found

    def _walk_span(
        self, scope: Scope, wanted: Filter | Around, span: Span, walk: Walk, number: int
    ) -> tuple[list[LogLine], str]:
        """The lines of a span beyond `walk.after`, at least `number` of them if there are as many; and the query."""
        groups = self._chosen(wanted)
        streams = self._writers.streams(wanted.writers) if isinstance(wanted, Around) else None
        simple = streams or wanted == replace(_EVERYTHING, services=getattr(wanted, "services", ()))
        if simple and plain.can_read(groups, span, walk.forward):

            def read(part: Span, most: int) -> list[LogLine]:
                note = self._writers.note
                return plain.read(self._client, groups, part, most, note, forward=walk.forward, streams=streams)

            told = self._told(scope, f"FilterLogEvents of {', '.join(group.name for group in groups[:10])}")
        else:

            def read(part: Span, most: int) -> list[LogLine]:
                return self._listed(scope.pin, groups, part, wanted, most, forward=walk.forward)

            told = ""
        found = walk_span(read, span, walk, number, MOST_ROWS)
        return found, told or self._query_told(scope, wanted, walk)

    def _listed(
        self, pin: int, groups: Sequence[LogGroup], span: Span, wanted: Filter | Around, most: int, *, forward: bool
    ) -> list[LogLine]:
        """The first (or last) lines of a span that match, by a query."""
        rows = self._ask(pin, groups, span, self._ql.listed(span, wanted, most, forward), most).rows
        lines = [self._line_in(row, groups) for row in rows]
        return sorted(lines, key=lambda line: line.place, reverse=not forward)[:most]

    def _line_in(self, row: Row, groups: Sequence[LogGroup]) -> LogLine:
        group, stream = _group_in(row, groups), row["@logStream"]
        self._writers.note(group.service, group.name, stream)
        return line_of(time_in(row["@timestamp"]), group.name, group.service, stream, row["@message"])

    def _look_for_newest(self, now: int) -> int | None:
        groups = sorted(self._groups.all(self._client), key=lambda group: -group.stored_bytes)[:_MOST_LOOKED_AT]
        readable = [group for group in groups if group.plain]
        for seconds in _AGO:
            span = (now - seconds * 10**9, now)
            found = plain.read(
                self._client, readable, span, 1, self._writers.note, forward=False, pages=_PAGES_LOOKED_AT
            )
            if found:
                return found[0].time_ns
        return None


def _group_in(row: Row, groups: Sequence[LogGroup]) -> LogGroup:
    """The log group of a row; `@log` is the account and the group's name."""
    name = row["@log"].partition(":")[2] or row["@log"]
    return next((group for group in groups if group.name == name), LogGroup(name, name, 0, 0, plain=True))


def _together(one: SourceRow, other: SourceRow) -> SourceRow:
    first, last = min(one.first_ns, other.first_ns), max(one.last_ns, other.last_ns)
    counts = (one.lines + other.lines, one.warn + other.warn, one.error + other.error)
    return SourceRow(one.service, one.instance, *counts, first, last)


def _forget(kept: OrderedDict[KeyT, ValueT]) -> None:
    while len(kept) > _KEPT:
        kept.popitem(last=False)
