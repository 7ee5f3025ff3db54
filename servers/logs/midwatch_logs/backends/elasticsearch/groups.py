"""Exact counts by writer, level and time: composite aggregations, page by page; no query runs here.

A composite aggregation is complete however many groups there are, where `terms` would leave some out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from midwatch_kit.logs.lines import ERROR, WARN
from midwatch_logs.backends.elasticsearch.dsl import NANOS, Query
from midwatch_logs.backends.elasticsearch.layout import TIME, Layout, first_of, ns_from
from midwatch_logs.remote import severity_in

PAGE: Final = 5_000
_DATED: Final = {
    "first": {"min": {"field": TIME, "format": NANOS}},
    "last": {"max": {"field": TIME, "format": NANOS}},
}


@dataclass(frozen=True)
class Group:
    """Lines of one writer and level, in one bucket where there are buckets (ms since the epoch), with their times."""

    service: str
    instance: str
    severity: int
    lines: int
    bucket_ms: int
    first_ns: int
    last_ns: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """All lines, those of WARN alone, and those that are worse."""
        return self.lines, self.lines * (WARN <= self.severity < ERROR), self.lines * (self.severity >= ERROR)


def grouping(layout: Layout, roles: Sequence[str], width: tuple[int, int] | None, after: Any) -> Query:
    """Return the aggregation of groups behind `after`; `width` is a bucket's start and length in ns, None for none."""
    sources: list[Query] = [
        {f"{role}{number}": {"terms": {"field": field, "missing_bucket": True}}}
        for role in roles
        for number, field in enumerate(getattr(layout, role))
    ]
    sources += [{"at": {"date_histogram": _histogram(*(width or ()))}}] if width or not sources else []
    composite: Query = {"size": PAGE, "sources": sources, **({"after": after} if after else {})}
    return {"groups": {"composite": composite, **({} if width else {"aggs": _DATED})}}


def groups_in(buckets: Sequence[Mapping[str, Any]]) -> Iterator[Group]:
    """Return the groups that an aggregation found."""
    for bucket in buckets:
        key = bucket["key"]
        first, last = (ns_from(bucket[name]["value_as_string"]) if name in bucket else 0 for name in _DATED)
        yield Group(
            first_of(key, "service") or "unknown_service",
            first_of(key, "instance"),
            severity_in(first_of(key, "level")),
            bucket["doc_count"],
            key.get("at", 0),
            first,
            last,
        )


def _histogram(start: int = 0, width: int = 365 * 86_400 * 10**9) -> Query:
    step = width // 10**6
    return {"field": TIME, "fixed_interval": f"{step}ms", "offset": f"{start // 10**6 % step}ms"}
