"""Logs Insights: queries that are weighed before they start, waited for, and stopped when nobody waits any more."""

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from midwatch_kit import BackendDown, BadInput, KitError, NotFound, given_up
from midwatch_kit.aws import in_words
from midwatch_kit.parallel import at_once
from midwatch_logs.backends.cloudwatch.groups import LogGroup, member
from midwatch_logs.remote import Span

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

QUERY_SECONDS: Final = 120.0
MOST_GROUPS: Final = 50
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_SECOND: Final = 10**9
_ENDED_BADLY: Final = ("Failed", "Cancelled", "Timeout", "Unknown")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Rows:
    """What a query gave, how much was read for it (bytes), and whether there may be more than was asked for."""

    rows: Sequence[Row]
    scanned: int
    full: bool


class Insights:
    """Runs queries over any number of log groups; one that would read more than `most_bytes` is refused before."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def ask(
        self, client: "CloudWatchLogsClient", groups: Sequence[LogGroup], span: Span, query: str, most: int
    ) -> Rows:
        """Return the rows of all log groups, in the order of each fifty; raises `KitError`s."""
        if not groups:
            return Rows([], 0, full=False)
        self._refuse_too_much(groups, span)
        parts = [groups[at : at + MOST_GROUPS] for at in range(0, len(groups), MOST_GROUPS)]
        answers = at_once([partial(self._asked, client, part, span, query) for part in parts])
        rows = [row for rows, _ in answers for row in rows]
        return Rows(rows, sum(scanned for _, scanned in answers), any(len(rows) >= most for rows, _ in answers))

    def stop_nothing(self, client: "CloudWatchLogsClient") -> None:
        """Ask to stop a query that is not there; raises `Denied` when not even that may be asked."""
        with suppress(BadInput, NotFound), in_words("CloudWatch Logs", "logs:StopQuery"):
            client.stop_query(queryId="00000000-0000-0000-0000-000000000000")

    def _refuse_too_much(self, groups: Sequence[LogGroup], span: Span) -> None:
        size = sum(group.share(span) for group in groups)
        if size > self._most_bytes:
            raise BadInput(
                f"Logs Insights would read about {size / 2**30:.2f} GiB of {len(groups)} log groups for this (their "
                f"stored bytes, shared out over time), and one query may read {self._most_bytes / 2**30:.2f} GiB: "
                "narrow the window, name services, or raise MIDWATCH_CLOUDWATCH_LOGS_MAX_BYTES"
            )

    def _asked(
        self, client: "CloudWatchLogsClient", groups: Sequence[LogGroup], span: Span, query: str
    ) -> tuple[list[Row], int]:
        number = _started(client, [group.name for group in groups], span, query)
        over = False
        try:
            told = _ended(client, number)
            over = True
        finally:
            if not over:
                Context().run(_stop, client, number)  # a context of its own: it is sent though nobody waits
        rows: list[Row] = [{str(c["field"]): str(c.get("value", "")) for c in row} for row in told["results"]]
        return rows, int(told.get("statistics", {}).get("bytesScanned", 0))


def _started(client: "CloudWatchLogsClient", names: Sequence[str], span: Span, query: str) -> str:
    start, end = span[0] // _SECOND, -(-span[1] // _SECOND)
    with in_words("CloudWatch Logs", "logs:StartQuery", "the log group was there a moment ago; ask again"):
        try:
            started = client.start_query(logGroupNames=list(names), startTime=start, endTime=end, queryString=query)
        except ClientError as error:
            if error.response["Error"].get("Code") == "MalformedQueryException":
                raise _malformed(error, query) from None
            raise
    return str(member(started, "queryId"))


def _ended(client: "CloudWatchLogsClient", number: str) -> Mapping[str, Any]:
    """Wait for a query's end; raises `BackendDown` when it ends badly, takes long, or nobody waits for it."""
    until, pause = time.monotonic() + QUERY_SECONDS, _FIRST_PAUSE
    while True:
        with in_words("CloudWatch Logs", "logs:GetQueryResults"):
            told = client.get_query_results(queryId=number)
        status = member(told, "status")
        if status == "Complete":
            return told
        if status in _ENDED_BADLY:
            raise BackendDown(f"the query of Logs Insights ended as {status}: ask again, or for less")
        if given_up().wait(pause * random.uniform(0.8, 1.2)):  # noqa: S311 - so that many callers come apart
            raise BackendDown("the query of Logs Insights was stopped: nobody waits for the answer")
        if time.monotonic() >= until:
            raise BackendDown(f"Logs Insights queried for {QUERY_SECONDS:g} s: narrow the window or name services")
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _stop(client: "CloudWatchLogsClient", number: str) -> None:
    with suppress(KitError), in_words("CloudWatch Logs", "logs:StopQuery"):  # it ends by itself after an hour
        client.stop_query(queryId=number)


def _malformed(error: ClientError, query: str) -> BadInput:
    told: Mapping[str, Any] = error.response
    fault = told.get("queryCompileError") or {}
    place = fault.get("location") or {}
    begin, end = place.get("startCharOffset"), place.get("endCharOffset")
    said = fault.get("message") or error.response["Error"].get("Message", "")
    where = f" at {_place(query, begin)}: {query[begin : (end or begin) + 1][:120]!r}" if isinstance(begin, int) else ""
    return BadInput(f"Logs Insights refuses this: {said}{where} -- in {query[:600]}")


def _place(query: str, at: int) -> str:
    """A place in a query as line and column, from 1."""
    return f"{query.count(chr(10), 0, at) + 1}:{at - query.rfind(chr(10), 0, at)}"
