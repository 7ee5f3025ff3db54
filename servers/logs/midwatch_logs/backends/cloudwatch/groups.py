"""Log groups: which of them the settings name, whose they are, and how much of them a question would read."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from midwatch_kit import BackendDown, NotFound
from midwatch_kit.aws import in_words
from midwatch_logs.remote import Span

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_FRESH_SECONDS: Final = 300.0
_MOST: Final = 2_000
_NAMED_INSIDE: Final = re.compile(
    r"/aws/(?:ecs/containerinsights|containerinsights|rds/instance|rds/cluster|eks)/([^/]+)/"
)
_DAY_MS: Final = 86_400_000


def member(answer: Mapping[str, Any], name: str) -> Any:
    """Return what an answer has by a name; raises `BackendDown` for one that is not AWS': boto3 reads it as empty."""
    if name not in answer:
        raise BackendDown(
            f"what answers for CloudWatch Logs answers without {name}: is MIDWATCH_AWS_ENDPOINT_URL right?"
        )
    return answer[name]


@dataclass(frozen=True)
class LogGroup:
    """A log group: whose lines it has, what it stores (bytes), and since when (ms since the epoch)."""

    name: str
    service: str
    stored_bytes: int
    since_ms: int
    plain: bool
    """Whether lines can be read without a query: groups for infrequent access have nothing but queries."""

    def share(self, span: Span) -> float:
        """Return about how many bytes there are of a span: what is stored, as if it had come evenly."""
        start, end = (instant / 10**6 for instant in span)
        now = time.time() * 1000
        there = max(now - self.since_ms, 1.0)
        return self.stored_bytes * max(0.0, min(end, now) - max(start, self.since_ms)) / there


class LogGroups:
    """The log groups that names and prefixes with `*` stand for, looked up again every five minutes."""

    def __init__(self, names: Sequence[str], services: Mapping[str, str]) -> None:
        self._names, self._services = names, services
        self._seen: tuple[float, Sequence[LogGroup]] = (0.0, ())

    def all(self, client: "CloudWatchLogsClient") -> Sequence[LogGroup]:
        """Return them by name; raises `NotFound` with near names when there are none."""
        seen, groups = self._seen
        if groups and time.monotonic() - seen < _FRESH_SECONDS:
            return groups
        found = {group.name: group for pattern in self._names for group in self._matching(client, pattern)}
        if not found:
            raise NotFound(self._none_found(client))
        groups = sorted(found.values(), key=lambda group: group.name)
        self._seen = (time.monotonic(), groups)
        return groups

    def _matching(self, client: "CloudWatchLogsClient", pattern: str) -> Iterator[LogGroup]:
        number = 0
        prefix = pattern.partition("*")[0]
        paginator = client.get_paginator("describe_log_groups")
        pages = paginator.paginate(logGroupNamePrefix=prefix) if prefix else paginator.paginate()
        with in_words("CloudWatch Logs", "logs:DescribeLogGroups"):
            for page in pages:
                for told in member(page, "logGroups"):
                    if fnmatchcase(told["logGroupName"], pattern) and number < _MOST:
                        number += 1
                        yield self._read(told)

    def _read(self, told: Mapping[str, object]) -> LogGroup:
        name = str(told["logGroupName"])
        oldest = int(time.time() * 1000) - int(str(told.get("retentionInDays", 10**5))) * _DAY_MS
        since = max(int(str(told.get("creationTime", 0))), oldest)
        plain = told.get("logGroupClass", "STANDARD") == "STANDARD"
        return LogGroup(name, self._service(name), int(str(told.get("storedBytes", 0))), since, plain)

    def _service(self, name: str) -> str:
        own = next((service for pattern, service in self._services.items() if fnmatchcase(name, pattern)), "")
        inside = _NAMED_INSIDE.match(name)
        return own or (inside[1] if inside else name.rstrip("/").rpartition("/")[2] or name)

    def _none_found(self, client: "CloudWatchLogsClient") -> str:
        with in_words("CloudWatch Logs", "logs:DescribeLogGroups"):
            page = client.describe_log_groups(limit=50)
        names = [group["logGroupName"] for group in member(page, "logGroups")]
        near = list(dict.fromkeys(n for own in self._names for n in get_close_matches(own, names, 3, 0.4)))
        there = near or names[:10]
        region = client.meta.region_name
        said = f"; there are {', '.join(there)}" if there else "; there is none at all"
        return (
            f"no log group in {region} matches {', '.join(self._names)}{said}: set MIDWATCH_CLOUDWATCH_LOG_GROUPS, or "
            "MIDWATCH_AWS_REGION"
        )
