"""Lines as they are, read by FilterLogEvents: costs nothing by the byte, and has what came a moment ago."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from midwatch_kit import BackendDown
from midwatch_kit.aws import in_words
from midwatch_kit.logs.lines import LogLine
from midwatch_kit.parallel import at_once
from midwatch_logs.backends.cloudwatch.events import line_of
from midwatch_logs.backends.cloudwatch.groups import LogGroup, member
from midwatch_logs.backends.cloudwatch.ql import milliseconds
from midwatch_logs.remote import Span

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MOST_STREAMS: Final = 100
Streams: TypeAlias = Mapping[str, Sequence[str]]
Note: TypeAlias = Callable[[str, str, str], None]
"""Told of each line whose it is: service, log group, log stream."""
_PAGE: Final = 10_000
MOST_PAGES: Final = 200
_NEWEST_FIRST_SINCE_MS: Final = 1_704_067_200_000
"""From 2024 on CloudWatch gives lines from the newest on as well."""


def can_read(groups: Sequence[LogGroup], span: Span, forward: bool) -> bool:
    """Whether lines can be had without a query."""
    return all(group.plain for group in groups) and (forward or milliseconds(span)[0] >= _NEWEST_FIRST_SINCE_MS)


def read(
    client: "CloudWatchLogsClient",
    groups: Sequence[LogGroup],
    span: Span,
    most: int,
    note: Note,
    *,
    forward: bool,
    streams: Streams | None = None,
    pages: int = MOST_PAGES,
) -> list[LogLine]:
    """Return the first (or last) `most` lines of a span in order; with streams, those of these of each group only."""
    chosen = [(group, (streams or {}).get(group.name, ())) for group in groups if not streams or group.name in streams]
    found = at_once([partial(_of_group, client, group, span, most, forward, of, note, pages) for group, of in chosen])
    lines = [line for lines in found for line in lines]
    return sorted(lines, key=lambda line: line.place, reverse=not forward)[:most]


def _of_group(
    client: "CloudWatchLogsClient",
    group: LogGroup,
    span: Span,
    most: int,
    forward: bool,
    streams: Sequence[str],
    note: Note,
    pages: int,
) -> list[LogLine]:
    lines: list[LogLine] = []
    for page in _pages(client, group, span, min(most, _PAGE), forward, streams, pages):
        for event in page:
            stream = event["logStreamName"]
            note(group.service, group.name, stream)
            lines.append(line_of(event["timestamp"], group.name, group.service, stream, event["message"]))
        if len(lines) >= most:
            break
    return lines[:most]


def _pages(
    client: "CloudWatchLogsClient",
    group: LogGroup,
    span: Span,
    size: int,
    forward: bool,
    streams: Sequence[str],
    pages: int,
) -> Iterator[Sequence[Any]]:
    start, end = milliseconds(span)
    asked: dict[str, Any] = {"logGroupName": group.name, "startTime": start, "endTime": end - 1, "limit": size}
    asked |= {} if forward else {"startFromHead": False}
    asked |= {"logStreamNames": list(streams)} if streams else {}
    for _ in range(pages):
        with in_words("CloudWatch Logs", "logs:FilterLogEvents", "the log group was there a moment ago; ask again"):
            page = client.filter_log_events(**asked)
        yield member(page, "events")
        if not page.get("nextToken"):
            return
        asked["nextToken"] = page["nextToken"]
    raise BackendDown(f"{group.name} has too few lines in too many pages for this time: narrow the window")
