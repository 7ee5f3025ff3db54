"""CloudWatch Logs with events in memory: log groups, plain reading in both directions, and Insights that evaluates.

It stands on the fake of AWS' APIs, which holds every question and answer against botocore's model of the service.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.backends.fakes.awsapi import Answer, Refusal, paged
from tests.backends.fakes.insights import Event, Malformed, Query


class MalformedQuery(Refusal):
    """A query that Insights cannot read, with the place of the fault."""

    def __init__(self, fault: Malformed) -> None:
        super().__init__("MalformedQueryException", f"{fault.message} ([{fault.begin},{fault.end}])")
        location = {"startCharOffset": fault.begin, "endCharOffset": fault.end}
        self.more = {"queryCompileError": {"location": location, "message": fault.message}}


@dataclass
class Group:
    """A log group: what it stores, since when (ms since the epoch), and of which class it is."""

    stored_bytes: int = 1_000_000
    created: int = 1_794_000_000_000
    kind: str = "STANDARD"


class FakeCloudWatchLogs:
    """Log groups with events. While `held`, no query ends.

    `begun` is set when a query is asked after, `stopped` when one is stopped.
    """

    def __init__(self, events: Sequence[Event], groups: Mapping[str, Group] | None = None) -> None:
        self.events = sorted(events, key=lambda event: event.time)
        self.groups = dict(groups or {event.group: Group() for event in events})
        self.held = False
        self.ends_as = "Complete"
        self.most_rows = 10_000
        self.begun, self.stopped = threading.Event(), threading.Event()
        self.queries: dict[str, Mapping[str, Any]] = {}
        self.answers: dict[str, Answer] = {
            "logs:DescribeLogGroups": self.describe,
            "logs:FilterLogEvents": self.filter,
            "logs:StartQuery": self.start,
            "logs:GetQueryResults": self.results,
            "logs:StopQuery": self.stop,
        }

    @property
    def texts(self) -> list[str]:
        """The queries that were started."""
        return [query["queryString"] for query in self.queries.values()]

    def describe(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log groups by the beginning of their names, two on a page."""
        found = [
            {
                "logGroupName": name,
                "creationTime": group.created,
                "storedBytes": group.stored_bytes,
                "logGroupClass": group.kind,
                "arn": f"arn:aws:logs:eu-west-1:123456789012:log-group:{name}:*",
            }
            for name, group in sorted(self.groups.items())
            if name.startswith(asked.get("logGroupNamePrefix", ""))
        ]
        return paged(found, asked, 2, "logGroups", "nextToken")

    def filter(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Events of a time in pages, some of them empty though more follow."""
        if self.groups[asked["logGroupName"]].kind != "STANDARD":
            raise Refusal("InvalidParameterException", "not supported for log groups of the Infrequent Access class")
        streams = asked.get("logStreamNames")
        found = [
            (number, event)
            for number, event in enumerate(self.events)
            if event.group == asked["logGroupName"]
            and asked["startTime"] <= event.time <= asked["endTime"]
            and (streams is None or event.stream in streams)
        ]
        found = found if asked.get("startFromHead", True) else found[::-1]
        if "nextToken" not in asked:
            return {"events": [], "nextToken": "0", "searchedLogStreams": []}
        told = [
            {
                "timestamp": event.time,
                "message": event.message,
                "logStreamName": event.stream,
                "ingestionTime": event.time + 900,
                "eventId": f"{number:056d}",
            }
            for number, event in found
        ]
        return {**paged(told, asked, min(asked["limit"], 10_000), "events", "nextToken"), "searchedLogStreams": []}

    def start(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Start a query that can be read, of at most fifty groups that are there."""
        assert len(asked["logGroupNames"]) <= 50
        if missing := set(asked["logGroupNames"]) - set(self.groups):
            raise Refusal("ResourceNotFoundException", f"Log group '{missing.pop()}' does not exist")
        try:
            Query(asked["queryString"])
        except Malformed as fault:
            raise MalformedQuery(fault) from None
        number = f"query-{len(self.queries)}"
        self.queries[number] = asked
        return {"queryId": number}

    def results(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a query has given by now."""
        query = self.queries[asked["queryId"]]
        self.begun.set()
        if self.held or self.ends_as != "Complete":
            return {"status": "Running" if self.held else self.ends_as, "results": [], "statistics": {}}
        events = [
            event
            for event in self.events
            if event.group in query["logGroupNames"]
            and query["startTime"] * 1000 <= event.time < (query["endTime"] + 1) * 1000
        ]
        rows = Query(query["queryString"]).rows(events)[: self.most_rows]
        results = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
        scanned = {"recordsMatched": 1.0, "recordsScanned": float(len(events)), "bytesScanned": 200.0 * len(events)}
        return {"status": "Complete", "results": results, "statistics": scanned, "queryLanguage": "CWLI"}

    def stop(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Stop a query."""
        with suppress(KeyError):
            del self.queries[asked["queryId"]]
            self.stopped.set()
            return {"success": True}
        raise Refusal("ResourceNotFoundException", "no such query")
