"""AWS X-Ray as a source of traces: summaries for ids, five traces a call for their documents, its graph for calls.

It is asked by whole seconds, for traces that began then; what a summary says of a trace's beginning and length makes
that finer. What X-Ray holds is what its SDKs or a Collector sampled: rates are of that.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from midwatch_kit import BackendDown, BadInput, Check, KitError, rfc3339
from midwatch_kit.aws import Denied, in_words, patience, session
from midwatch_kit.parallel import Threads
from midwatch_store import from_ns, to_ns
from midwatch_traces.backend import KnownCalls, Search
from midwatch_traces.backends.fetched import Row
from midwatch_traces.backends.remote import AskedTraces
from midwatch_traces.backends.sampling import Counted, Found, Piece
from midwatch_traces.backends.segments import rows_of
from midwatch_traces.backends.xray_filter import filter_of
from midwatch_traces.backends.xray_queries import XRayQueries
from midwatch_traces.ids import plain_id, xray_id
from midwatch_traces.settings import TracesSettings

if TYPE_CHECKING:
    from mypy_boto3_xray import XRayClient

_PAGE: Final = 500
_AT_ONCE: Final = 4
_ATTEMPTS: Final = 3
_A_CALL: Final = 5
"""Traces that one call gives at most."""
_SECOND: Final = 10**9
_LONGEST: Final = 6 * 3_600 * _SECOND
"""Longer spans of time are asked for in pieces: AWS refuses those above a day, or above six hours for its graph."""
_BEFORE: Final = 30 * _SECOND
"""Traces that began so long before a span of time are looked at as well: they may reach into it."""
_NARROW_SECONDS: Final = 2
_MOST_OF_NARROW: Final = 5_000
_RUNNING: Final = re.compile(
    r"AWS::(EC2|ECS|EKS|Lambda|ElasticBeanstalk|AppRunner|ApiGateway|StepFunctions|AppSync)\b.*|"
)
"""Types of nodes that send traces themselves, as does one without a type. X-Ray infers others: databases, hosts."""
_POLICY: Final = ("xray:GetTraceSummaries", "xray:BatchGetTraces", "xray:GetServiceGraph")


def xray(settings: TracesSettings) -> AskedTraces:
    """Return the backend that the settings name; raises `BackendDown` when no region is known."""
    seconds = settings.deadline_seconds * 0.9
    opened = session(settings.aws_region, settings.aws_profile)
    with in_words("X-Ray", _POLICY[0]):
        client = opened.client(
            "xray",
            endpoint_url=str(settings.aws_endpoint_url) if settings.aws_endpoint_url else None,
            config=patience(seconds / (_ATTEMPTS + 1), attempts=_ATTEMPTS, at_once=_AT_ONCE),
        )
    only = settings.xray_filter.strip()
    source = XRay(client, only)
    native = XRayQueries(source, only, seconds)
    return AskedTraces(source, native, most=settings.traces_most, page=_PAGE, seconds=seconds)


class XRay:
    """Traces of one region, of those that meet `only`, a filter expression."""

    name = "xray"
    at_once = _AT_ONCE

    def __init__(self, client: "XRayClient", only: str = "") -> None:
        self._client, self._only = client, only
        self._place = f"X-Ray in {client.meta.region_name}"

    def find(self, search: Search, start: int, end: int, most: int, *, until: float, begins: bool = False) -> Found:
        """Return ids of traces that lie in `[start, end)` or, with `begins`, that begin there; the latest first."""
        narrow = end - start <= _NARROW_SECONDS * _SECOND
        most = max(most, _MOST_OF_NARROW) if narrow else most
        first = start if begins else start - min(_BEFORE, max(end - start, _SECOND))
        found: dict[str, None] = {}
        for summary in self.summaries(filter_of(search, self._only), first, end, until):
            if _is_meant(summary, start, end, begins=begins):
                found[plain_id(str(summary["Id"]))] = None
            if len(found) >= most:
                return self._full(found, most, narrow=narrow)
        return Found([*found], full=False)

    def fetch(self, ids: Sequence[str], *, until: float) -> Sequence[Row]:
        """Return all spans of some traces; X-Ray gives those of five a call."""
        if strange := [name for name in ids if not re.fullmatch("[0-9a-f]{32}", name.lower())]:
            raise BadInput(
                f"X-Ray has no trace {strange[0][:80]!r}: its ids are 32 hexadecimal digits, or 1-8-24 of them"
            )
        calls = [ids[at : at + _A_CALL] for at in range(0, len(ids), _A_CALL)]
        with Threads(self.at_once) as threads:
            return [row for rows in threads.map(lambda names: self._traces(names, until), calls) for row in rows]

    def describe(self, search: Search, start: int, end: int) -> str:
        """Return the call of the AWS command line that searches."""
        expression = filter_of(search, self._only)
        told = f"--start-time {rfc3339(from_ns(start))} --end-time {rfc3339(from_ns(end))}"
        return f"aws xray get-trace-summaries {told}" + (f" --filter-expression '{expression}'" if expression else "")

    def count(self, _: Sequence[Piece], *, until: float) -> Counted | None:
        """Return None: X-Ray counts traces and calls, not spans."""
        return None

    def summaries(self, expression: str, start: int, end: int, until: float) -> Iterator[Mapping[str, Any]]:
        """Yield summaries of traces that began then, in whole seconds, those of the latest hours first."""
        for piece in _cut(start, end):
            yield from self._summaries(expression, piece, until)

    def services(self, start: int, end: int, *, until: float) -> Sequence[str]:
        """Return the services of the graph that send traces themselves; none where the graph may not be read."""
        nodes = self._graph_or_nothing(start, end, until).values()
        return sorted({str(node.get("Name")) for node in nodes if _sends(node)})

    def known_calls(self, start: int, end: int, *, until: float) -> Sequence[KnownCalls]:
        """Return the calls between services that X-Ray counted, among those traces that were sampled."""
        nodes = self._graph_or_nothing(start, end, until)
        calls: dict[tuple[str, str], int] = {}
        for node in filter(_sends, nodes.values()):
            for edge in node.get("Edges") or []:
                callee = nodes.get(edge.get("ReferenceId"))
                if callee is not None and _sends(callee) and callee.get("Name") != node.get("Name"):
                    ends = str(node.get("Name")), str(callee.get("Name"))
                    calls[ends] = calls.get(ends, 0) + int((edge.get("SummaryStatistics") or {}).get("TotalCount") or 0)
        return [KnownCalls(caller, callee, count, self.name) for (caller, callee), count in sorted(calls.items())]

    def followers(self, _: str, __: int, ___: int, ____: int, *, until: float) -> Sequence[Row]:
        """Return nothing: X-Ray can't look for traces by what they link to."""
        return []

    def checks(self, *, until: float) -> Sequence[Check]:
        """Ask for each thing that the tools ask for."""
        now = int(time.time()) * _SECOND
        recent = now - 300 * _SECOND, now

        def search() -> str:
            some = next(iter(self.summaries(self._only, *recent, until)), None)
            late = "it finds a trace some seconds after X-Ray got it"
            return f"{'there are traces' if some else 'no traces'} in the last 5 minutes; {late}"

        def read() -> str:
            return f"{len(self._traces(['0' * 32], until))} spans of a trace that is not there"

        def graph() -> str:
            return f"{len(self._graph(*recent, until))} nodes in the last 5 minutes"

        try:
            may = [self._tried(action, call) for action, call in zip(_POLICY, (search, read, graph), strict=True)]
        except KitError as error:
            return [Check("xray", ok=False, detail=str(error), do="see the region and the credentials of this server")]
        return [Check("xray", ok=True, detail=f"{self._place} answers"), *may]

    def _tried(self, action: str, call: Callable[[], str]) -> Check:
        name = f"xray {action.partition(':')[2]}"
        try:
            return Check(name, ok=True, detail=f"{action} is allowed; {call()}")
        except Denied as error:
            return Check(name, ok=False, detail=str(error), do=f"allow {error.permission} to these credentials")

    def _full(self, found: Mapping[str, None], most: int, *, narrow: bool) -> Found:
        if narrow:
            raise BadInput(
                f"X-Ray has more than {most:,} traces in {_NARROW_SECONDS} seconds, too many to take an even sample: "
                "search for one service, or let MIDWATCH_XRAY_FILTER name a part of the system"
            )
        return Found([*found], full=True)

    def _summaries(self, expression: str, piece: Piece, until: float) -> Iterator[Mapping[str, Any]]:
        """Yield summaries of a piece of time, page by page, as far as they are wanted."""
        asked: dict[str, Any] = {
            "StartTime": _floor(piece[0]),
            "EndTime": _ceiling(piece[1]),
            "TimeRangeType": "TraceId",
        }
        asked |= {"FilterExpression": expression} if expression else {}
        while True:
            _in_time(self._place, until)
            with in_words(self._place, _POLICY[0]):
                page = self._whole(self._client.get_trace_summaries(**asked, Sampling=False))
            yield from page.get("TraceSummaries") or []
            if not page.get("NextToken"):
                return
            asked["NextToken"] = page["NextToken"]

    def _traces(self, names: Sequence[str], until: float) -> list[Row]:
        """Return the spans of at most five traces; one that X-Ray did not get to is asked for once more."""
        rows: list[Row] = []
        waiting = [xray_id(name.lower()) for name in names]
        for _ in range(2):
            waiting = self._read(waiting, rows, until)
            if not waiting:
                break
        return rows

    def _read(self, ids: Sequence[str], rows: list[Row], until: float) -> list[str]:
        """Add the spans of some traces to `rows`; return the ids that were left out."""
        asked: dict[str, Any] = {"TraceIds": ids}
        left: list[str] = []
        while True:
            _in_time(self._place, until)
            with in_words(self._place, _POLICY[1]):
                page = self._whole(self._client.batch_get_traces(**asked))
            for trace in page.get("Traces") or []:
                documents = (str(segment.get("Document") or "") for segment in trace.get("Segments") or [])
                rows += rows_of(str(trace["Id"]), documents)
            left += page.get("UnprocessedTraceIds") or []
            if not page.get("NextToken"):
                return left
            asked["NextToken"] = page["NextToken"]

    def _whole(self, page: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an answer, if it is one: boto3 makes an empty one of whatever is no JSON."""
        if not page.keys() - {"ResponseMetadata"}:
            raise BackendDown(
                f"{self._place} does not answer as X-Ray does: does MIDWATCH_AWS_ENDPOINT_URL lead to it, or a proxy "
                "stand before it?"
            )
        return page

    def _graph_or_nothing(self, start: int, end: int, until: float) -> Mapping[Any, Mapping[str, Any]]:
        try:
            return self._graph(start, end, until)
        except KitError:
            return {}  # what the spans say is there all the same; `checks` tells that this is not

    def _graph(self, start: int, end: int, until: float) -> Mapping[Any, Mapping[str, Any]]:
        """Return the nodes of the service graph by their reference; of a long time, those of its latest hours."""
        piece = next(_cut(start, end))
        asked: dict[str, Any] = {"StartTime": _floor(piece[0]), "EndTime": _ceiling(piece[1])}
        nodes: dict[Any, Mapping[str, Any]] = {}
        while True:
            _in_time(self._place, until)
            with in_words(self._place, _POLICY[2]):
                page = self._whole(self._client.get_service_graph(**asked))
            nodes |= {node.get("ReferenceId"): node for node in page.get("Services") or []}
            if not page.get("NextToken"):
                return nodes
            asked["NextToken"] = page["NextToken"]


def _sends(node: Mapping[str, Any]) -> bool:
    return bool(_RUNNING.fullmatch(str(node.get("Type") or "")))


def _is_meant(summary: Mapping[str, Any], start: int, end: int, *, begins: bool) -> bool:
    """Whether a trace begins in `[start, end)`, or reaches into it; a summary without times is of those asked for."""
    began = summary.get("StartTime")
    if not isinstance(began, datetime):
        return True
    at = to_ns(began)
    return (
        start <= at < end if begins else at < end and at + int(float(summary.get("Duration") or 0) * _SECOND) >= start
    )


def _cut(start: int, end: int) -> Iterator[Piece]:
    """Yield a span of time in pieces that X-Ray takes, the latest first."""
    while end > start:
        yield max(start, end - _LONGEST), end
        end -= _LONGEST


def _floor(at: int) -> datetime:
    return datetime.fromtimestamp(at // _SECOND, UTC)


def _ceiling(at: int) -> datetime:
    return datetime.fromtimestamp(-(-at // _SECOND), UTC)


def _in_time(place: str, until: float) -> None:
    if time.monotonic() >= until:
        raise BackendDown(f"{place} was too slow for one answer: ask for a shorter window, or name a service")
