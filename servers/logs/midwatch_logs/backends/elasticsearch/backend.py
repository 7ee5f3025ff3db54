"""The log tools' questions to Elasticsearch: a snapshot for each tool and cursor, exact counts, walks along it.

`(time, _shard_doc)` is a total order within a point in time, and `search_after` walks along it however far it goes.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from json import dumps
from typing import Any, Final

from midwatch_kit import BackendDown, BadInput, Check, KitError, NotFound
from midwatch_kit.logs import Scope, stamp
from midwatch_kit.logs.backend import Around, Buckets, Filter, Found, RateRow, Seen, SourceRow, Step, TraceSpan, Walk
from midwatch_kit.logs.lines import text_of
from midwatch_kit.text import near
from midwatch_logs.backends.elasticsearch.api import Answer, ElasticsearchApi, SnapshotGone
from midwatch_logs.backends.elasticsearch.dsl import NANOS, RUNTIME, Query, containing, matching, of_trace, within
from midwatch_logs.backends.elasticsearch.groups import PAGE, Group, grouping, groups_in
from midwatch_logs.backends.elasticsearch.layout import (
    TIME,
    Layout,
    fetched,
    layout_of,
    line_of,
    ns_from,
    wanted_fields,
)
from midwatch_logs.backends.elasticsearch.native import ElasticsearchQueries
from midwatch_logs.backends.elasticsearch.snapshots import KEPT, Snapshots
from midwatch_logs.remote import RemoteLogs, shown_spans, spans_of
from midwatch_logs.settings import ElasticsearchSettings

MOST_HITS: Final = 2_000
_MOST_GROUPS: Final = 200_000
_LAYOUT_NS: Final = 300 * 10**9
_FRESH_NS: Final = 15 * 10**9
_ROLES: Final = ("service", "instance", "level")
_NEEDED: Final = ("read", "view_index_metadata")
_LATE_SECONDS: Final = 300
_HEAD_CHARS: Final = 1_500


class _TooManyGroups(BadInput):
    """Raised when so many instances wrote that their counts would not end."""


class ElasticsearchLogs(RemoteLogs):
    """Lines in the indices or data streams that a pattern names; it is asked nothing before the first question."""

    def __init__(self, settings: ElasticsearchSettings, sample_lines: int) -> None:
        super().__init__(sample_lines)
        self._settings = settings
        self._index = ",".join(settings.elasticsearch_index)
        self._api = ElasticsearchApi(settings)
        self._snapshots = Snapshots(self._api, self._index)
        self.native = ElasticsearchQueries(self._api, self._index)
        self._layout_seen: tuple[int, Layout | None] = (0, None)
        self._newest: tuple[int, int | None] = (0, None)

    def describe(self, scope: Scope) -> str:
        """Return the indices, the address and the time."""
        return f"{self._index} of {self._api.place} in {shown_spans(scope)}"

    def newest(self) -> int | None:
        """Return the time of the newest line, as it was some seconds ago at most; None when nobody tells."""
        now = time.time_ns()
        if now - self._newest[0] >= _FRESH_NS:
            with suppress(KitError):  # whoever asks for more than this is told
                self._newest = (now, self._look_for_newest())
        return self._newest[1]

    def sources(self, scope: Scope) -> Found[SourceRow]:
        """Return who wrote, how much."""
        layout = self._layout()
        query = within(spans_of(scope), layout)
        found: dict[tuple[str, str], list[int]] = {}
        for group in self._grouped([query], layout, None, scope):
            row = found.setdefault((group.service, group.instance), [0, 0, 0, group.first_ns, group.last_ns])
            row[:3] = [before + more for before, more in zip(row, group.counts, strict=False)]
            row[3:] = [min(row[3], group.first_ns), max(row[4], group.last_ns)]
        rows = [SourceRow(*writer, *counts) for writer, counts in sorted(found.items())]
        return Found(rows, f"{_shown_groups(layout)} where {dumps(query)}")

    def rates(self, scope: Scope, buckets: Buckets) -> Found[RateRow]:
        """Return counts for each writer and bucket, whose edges are those of milliseconds; periods are exact."""
        layout = self._layout()
        last = max((end for _, end in spans_of(scope)), default=0)
        window_end = min(last, buckets.window_start + buckets.after * buckets.width)
        periods = [
            (0, buckets.before, buckets.baseline_start, buckets.baseline_start + buckets.before * buckets.width),
            (buckets.before, buckets.after, buckets.window_start, window_end),
        ]
        found: dict[tuple[str, str, int], list[int]] = {}
        for first, number, start, end in periods:
            if start >= end:
                continue
            for group in self._grouped([within([(start, end)], layout)], layout, (start, buckets.width), scope):
                at = (group.bucket_ms - start // 10**6) // (buckets.width // 10**6)
                place = (group.service, group.instance, first + min(max(at, 0), number - 1))
                row = found.setdefault(place, [0, 0, 0])
                row[:] = [before + more for before, more in zip(row, group.counts, strict=True)]
        rows = [RateRow(*place, *counts) for place, counts in sorted(found.items())]
        return Found(rows, f"{_shown_groups(layout)}, {buckets.width / 1e9:g} s")

    def count(self, scope: Scope, wanted: Filter | Around) -> int:
        """Return exactly how many lines match."""
        filters, runtime = self._asked(scope, wanted)
        answer = self._search(scope, filters, runtime, {"size": 0, "track_total_hits": True})
        return int(answer["hits"]["total"]["value"])

    def step(self, scope: Scope, wanted: Filter | Around, walk: Walk, context: int = 0) -> Step:
        """Return the next lines in order, and keep their snapshot where a page may follow."""
        found = super().step(scope, wanted, walk, context)
        told = sum(len(text_of(seen.line, hit=seen.hit)) for seen in found.seen)  # which may be more than a reply holds
        if found.more or told > (self._settings.reply_chars - _HEAD_CHARS) // 2:
            self._snapshots.keep(scope.pin)
        return found

    def lines(self, scope: Scope, wanted: Filter | Around, walk: Walk) -> Step:
        """Return the next lines in order, along a point in time."""
        layout = self._layout()
        filters, runtime = self._asked(scope, wanted)
        order = "asc" if walk.forward else "desc"
        sort = [{TIME: {"order": order, "numeric_type": "date_nanos", "format": NANOS}}, {"_shard_doc": order}]
        shown = {"fields": fetched(layout), "source_excludes": [*layout.message, "event.original"]}
        place: Sequence[str | int] | None = (stamp(walk.after[0]), walk.after[1]) if walk.after else None
        found: list[Seen] = []
        while len(found) <= walk.limit:
            size = min(walk.limit + 1 - len(found), MOST_HITS)
            body = {"size": size, "sort": sort, "track_total_hits": False, **shown}
            body |= {"search_after": list(place)} if place else {}
            hits = self._search(scope, filters, runtime, body, resumed=place is not None)["hits"]["hits"]
            found += [Seen(line_of(hit, layout)) for hit in hits]
            if len(hits) < size:
                break
            place = hits[-1]["sort"]
        read = f", {RUNTIME} being any of {', '.join(layout.texts)} as a whole" if runtime else ""
        query = f"{self._index} {dumps({'filter': filters})} by {TIME} {order}{read}"
        return Step(found[: walk.limit], len(found) > walk.limit, query)

    def trace(self, scope: Scope, trace_id: str) -> TraceSpan | None:
        """Return where the lines of a trace are: those with its id in a field, and else those whose message has it."""
        layout = self._layout()
        for query in (of_trace(trace_id, layout), containing(trace_id, layout)):
            filters = [within(spans_of(scope), layout), query]
            if groups := list(self._grouped(filters, layout, None, scope)):
                first, last = min(g.first_ns for g in groups), max(g.last_ns for g in groups)
                writers = sorted({(g.service, g.instance) for g in groups})
                return TraceSpan(first, last, sum(g.lines for g in groups), tuple(writers))
        return None

    def checks(self) -> list[Check]:
        """Look at Elasticsearch: does it answer, which version, may the indices be read, how old is the newest line."""
        try:
            layout = self._layout()
        except KitError as error:
            do = "see that MIDWATCH_ELASTICSEARCH_URL, _INDEX and the credentials are right; docs/logs.md has the role"
            return [Check("elasticsearch", ok=False, detail=str(error), do=do), *self._privileges()]
        found = [Check("elasticsearch", ok=True, detail=f"{self._api.place} {self._version()}"), *self._privileges()]
        do = "" if layout.service else "set MIDWATCH_ELASTICSEARCH_SERVICE_FIELD to a keyword field that names services"
        found.append(Check("fields", ok=bool(layout.service), detail=layout.told, do=do))
        return [*found, self._freshness()]

    def _version(self) -> str:
        try:
            return str(self._api.ask(lambda client: client.info())["version"]["number"])
        except KitError:  # it takes `monitor`, which nothing else needs
            return "of unknown version"

    def _privileges(self) -> list[Check]:
        """Whether the credentials may do what the tools need, by the privileges' names."""
        asked = [{"names": self._index.split(","), "privileges": list(_NEEDED)}]
        try:
            told = self._api.ask(lambda client: client.security.has_privileges(index=asked))
        except KitError:  # there is no security, or nobody is there: then the first check has told
            return []
        missing = sorted({p for of in told["index"].values() for p, there in of.items() if not there})
        granted = ", ".join(p for p in _NEEDED if p not in missing) or "nothing"
        detail = f"{told['username']} may {granted} on {self._index}"
        do = f"grant {' and '.join(missing)} on {self._index} to the role" if missing else ""
        return [Check("privileges", ok=not missing, detail=detail, do=do)]

    def _freshness(self) -> Check:
        try:
            newest = self._look_for_newest()
        except KitError as error:
            return Check("lines", ok=False, detail=str(error), do="give the role `read` on these indices")
        if newest is None:
            return Check("lines", ok=False, detail="there is none", do="see that something sends logs to it")
        late = max(0.0, (time.time_ns() - newest) / 1e9)
        detail = f"the newest is of {stamp(newest, 3)}, {late:.0f} s ago"
        fresh = late <= _LATE_SECONDS
        return Check("lines", ok=fresh, detail=detail, do="" if fresh else "see that logs are being sent")

    def _look_for_newest(self) -> int | None:
        sort = [{TIME: {"order": "desc", "numeric_type": "date_nanos", "format": NANOS}}]
        hits = self._api.search(
            index=self._index, query={"range": {TIME: {"lte": "now"}}}, sort=sort, size=1, source=False,
            track_total_hits=False,
        )["hits"]["hits"]  # fmt: skip
        return ns_from(hits[0]["sort"][0]) if hits else None

    def _asked(self, scope: Scope, wanted: Filter | Around) -> tuple[list[Query], Query]:
        layout = self._layout()
        filters, runtime = matching(wanted, layout)
        return [within(spans_of(scope, wanted), layout), *filters], runtime

    def _grouped(
        self, filters: Sequence[Query], layout: Layout, width: tuple[int, int] | None, scope: Scope
    ) -> Sequence[Group]:
        """Counts by writer and level; of services as wholes where so many instances wrote that it would not end."""
        try:
            return list(self._groups(filters, layout, _ROLES, width, scope))
        except _TooManyGroups:
            return list(self._groups(filters, layout, [role for role in _ROLES if role != "instance"], width, scope))

    def _groups(
        self,
        filters: Sequence[Query],
        layout: Layout,
        roles: Sequence[str],
        width: tuple[int, int] | None,
        scope: Scope,
    ) -> Iterator[Group]:
        after: Any = None
        for _ in range(_MOST_GROUPS // PAGE):
            body = {"size": 0, "track_total_hits": False, "aggs": grouping(layout, roles, width, after)}
            found = self._search(scope, filters, {}, body)["aggregations"]["groups"]
            yield from groups_in(found["buckets"])
            after = found.get("after_key")
            if not after or len(found["buckets"]) < PAGE:
                return
        raise _TooManyGroups(
            f"{self._index} has more than {_MOST_GROUPS} groups of service, level and time: narrow the window, or set "
            "MIDWATCH_ELASTICSEARCH_SERVICE_FIELD to a field with fewer values"
        )

    def _search(
        self, scope: Scope, filters: Sequence[Query], runtime: Query, body: Query, *, resumed: bool = False
    ) -> Answer:
        """Ask within the scope's snapshot; one that is gone is made anew, but not in the middle of a walk."""
        asked = {**body, "query": {"bool": {"filter": list(filters)}}}
        asked |= {"runtime_mappings": runtime} if runtime else {}
        for _ in range(2):
            name = self._snapshots.name(scope.pin, resumed=resumed)
            try:
                answer = self._api.search(pit={"id": name, "keep_alive": KEPT}, **asked)
            except SnapshotGone:
                self._snapshots.forget(scope.pin)
                continue
            self._snapshots.renew(scope.pin, answer.get("pit_id", name))
            return answer
        raise BackendDown("Elasticsearch forgets its points in time at once: see its log")

    def _layout(self) -> Layout:
        seen, layout = self._layout_seen
        if layout and time.time_ns() - seen < _LAYOUT_NS:
            return layout
        names = wanted_fields(self._settings)
        try:
            told = self._api.ask(lambda client: client.field_caps(index=self._index, fields=names))
        except NotFound as error:
            raise self._no_such_index(str(error)) from None
        if not told.get("indices"):
            raise self._no_such_index(f"nothing matches {self._index!r}")
        self._layout_seen = (time.time_ns(), found := layout_of(told, self._settings))
        return found

    def _no_such_index(self, said: str) -> NotFound:
        names = near(self._index, self._api.names())
        there = f"; there are {', '.join(names)}" if names else ""
        return NotFound(f"{said}{there}: set MIDWATCH_ELASTICSEARCH_INDEX")


def _shown_groups(layout: Layout) -> str:
    return f"composite of {', '.join(name for role in _ROLES for name in getattr(layout, role)) or 'all lines'}"
