"""Amazon CloudWatch as botocore speaks to it (AWS JSON 1.0 over a socket): ListMetrics, GetMetricData, alarms, history.

It keeps single values, and so knows every statistic, percentiles among them. Periods, what is still kept by which
period, the order and the limits of an answer, pages and tokens are as AWS' documentation of each call has them. What it
is asked, and what it answers, is held against the description of the service that botocore ships, which is AWS' own.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import botocore.session
import numpy as np
from botocore.validate import ParamValidator
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Json: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]

_DAY: Final = 24 * 3600
_MODEL: Final = botocore.session.get_session().get_service_model("cloudwatch")
_KEPT: Final = ((15 * _DAY, 60), (63 * _DAY, 300), (455 * _DAY, 3600))
_PLAIN: Final[Mapping[str, Callable[["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], float]]] = {
    "Sum": lambda value, weight: float((value * weight).sum()),
    "SampleCount": lambda value, weight: float(weight.sum()),
    "Average": lambda value, weight: float((value * weight).sum() / weight.sum()),
    "Minimum": lambda value, weight: float(value.min()),
    "Maximum": lambda value, weight: float(value.max()),
}


class Refusal(Exception):
    """What it refuses, with the code that AWS has for it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Refusing:
    """How an operation is refused, and how many more times."""

    code: str
    status: int = 400
    times: int = 10**6


@dataclass
class CloudWatch:
    """What it keeps: values by metric (second, value, how often), alarms, history; `page` bounds an answer's points."""

    values: dict[Key, list[tuple[int, float, float]]] = field(default_factory=dict)
    alarms: list[Json] = field(default_factory=list)
    composite: list[Json] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    page: int = 100_800
    listed_at_once: int = 500
    refusing: dict[str, Refusing] = field(default_factory=dict)
    asked: list[tuple[str, Json]] = field(default_factory=list)

    def put(
        self, namespace: str, name: str, dimensions: Mapping[str, str], second: int, value: float, n: float
    ) -> None:
        """Keep a value that was measured `n` times in a second."""
        key = (namespace, name, tuple(sorted(dimensions.items())))
        self.values.setdefault(key, []).append((second, value, n))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        request = Request(scope, receive)
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            if request.headers["content-type"] != "application/x-amz-json-1.0" or not operation:
                raise Refusal("UnknownOperationException", "only AWS JSON 1.0 is spoken here")
            if "AWS4-HMAC-SHA256" not in request.headers.get("authorization", ""):
                raise Refusal("MissingAuthenticationTokenException", "not signed", 403)
            status, answer = 200, self._answer(operation, json.loads(await request.body()))
        except Refusal as refused:
            status, answer = refused.status, {"__type": f"com.amazonaws#{refused.code}", "message": str(refused)}
        body = json.dumps(answer, default=lambda moment: moment.timestamp())
        await Response(body, status, media_type="application/x-amz-json-1.0")(scope, receive, send)

    def _answer(self, operation: str, asked: Json) -> Json:
        self.asked.append((operation, asked))
        trouble = self.refusing.get(operation)
        if trouble and trouble.times > 0:
            trouble.times -= 1
            raise Refusal(trouble.code, f"User: arn:aws:iam::1:user/a, {operation}", trouble.status)
        model = _MODEL.operation_model(operation)
        assert model.input_shape is not None
        assert model.output_shape is not None
        _hold(asked, model.input_shape, "InvalidParameterValue")
        answer = {
            "ListMetrics": self._list_metrics,
            "GetMetricData": self._get_metric_data,
            "DescribeAlarms": self._describe_alarms,
            "DescribeAlarmHistory": self._describe_alarm_history,
        }[operation](asked)
        _hold(answer, model.output_shape, "InternalFailure")
        return answer

    def _list_metrics(self, asked: Json) -> Json:
        wanted = [key for key in sorted(self.values) if asked.get("Namespace") in (None, key[0])]
        wanted = [key for key in wanted if asked.get("MetricName") in (None, key[1])]
        metrics = [{"Namespace": key[0], "MetricName": key[1], "Dimensions": _told(key)} for key in wanted]
        return _page("Metrics", metrics, asked, self.listed_at_once)

    def _get_metric_data(self, asked: Json) -> Json:
        queries = asked["MetricDataQueries"]
        start, end = float(asked["StartTime"]), float(asked["EndTime"])
        self._hold_limits(queries, start, end)
        skip = int(asked.get("NextToken") or 0)
        room, results, seen = self.page, [], 0
        for query in queries:
            times, values = self._points(query["MetricStat"], start, end)
            if asked.get("ScanBy") != "TimestampAscending":
                times, values = times[::-1], values[::-1]
            first = min(max(skip - seen, 0), len(times))
            last = min(first + room, len(times))
            done = last == len(times)
            if last > first or (done and seen >= skip):
                results.append(_result(query, times[first:last], values[first:last], done))
            seen += len(times)
            room -= last - first
        more = seen > skip + self.page
        return {"MetricDataResults": results, "Messages": [], **({"NextToken": str(skip + self.page)} if more else {})}

    def _hold_limits(self, queries: Sequence[Json], start: float, end: float) -> None:
        ids = [query["Id"] for query in queries]
        if len(queries) > 500:
            raise Refusal("ValidationError", "The collection MetricDataQueries must not have a size greater than 500.")
        if len(set(ids)) < len(ids) or not all(re.fullmatch(r"[a-z][a-zA-Z0-9_]*", name) for name in ids):
            raise Refusal(
                "ValidationError", "The values for parameter id in MetricDataQueries are not unique or valid."
            )
        if start >= end:
            raise Refusal("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
        points = sum((end - start) / query["MetricStat"]["Period"] for query in queries)
        if points > 100_800:
            raise Refusal("ValidationError", f"You have requested up to {points:.0f} datapoints, more than 100800.")

    def _points(self, stat: Json, start: float, end: float) -> tuple[list[float], list[float]]:
        metric, period = stat["Metric"], int(stat["Period"])
        dimensions = tuple(sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", [])))
        kept = self.values.get((metric["Namespace"], metric["MetricName"], dimensions), [])
        if period % 60:
            raise Refusal("ValidationError", f"Period {period} is not a multiple of 60.")
        least = next((step for age, step in _KEPT if datetime.now(UTC).timestamp() - start < age), None)
        if least is None or period % least:
            return [], []  # so old data are not kept by so short a period
        first = start // least * least
        by_period: dict[int, list[tuple[float, float]]] = {}
        for second, value, weight in kept:
            if first <= second < end:
                by_period.setdefault(second // period * period, []).append((value, weight))
        found = [(moment, _statistic(stat["Stat"], by_period[moment])) for moment in sorted(by_period)]
        return [float(moment) for moment, _ in found], [value for _, value in found]

    def _describe_alarms(self, asked: Json) -> Json:
        kinds = asked.get("AlarmTypes") or ["MetricAlarm"]
        alarms = [("MetricAlarms", one) for one in self.alarms if "MetricAlarm" in kinds]
        alarms += [("CompositeAlarms", one) for one in self.composite if "CompositeAlarm" in kinds]
        page = _page("all", alarms, asked, min(asked.get("MaxRecords", 50), self.listed_at_once))
        told: Json = {
            name: [one for kind, one in page["all"] if kind == name] for name in ("MetricAlarms", "CompositeAlarms")
        }
        return {**told, **{name: value for name, value in page.items() if name != "all"}}

    def _describe_alarm_history(self, asked: Json) -> Json:
        kinds = asked.get("AlarmTypes") or ["MetricAlarm"]
        start, end = float(asked.get("StartDate", 0)), float(asked.get("EndDate", 1e12))
        found = [
            one
            for one in self.history
            if asked.get("AlarmName") in (None, one["AlarmName"])
            and asked.get("HistoryItemType") in (None, one["HistoryItemType"])
            and one["AlarmType"] in kinds
            and start <= one["Timestamp"].timestamp() <= end
        ]
        newest_first = asked.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        found.sort(key=lambda one: one["Timestamp"], reverse=newest_first)
        return _page("AlarmHistoryItems", found, asked, min(asked.get("MaxRecords", 50), self.listed_at_once))


def changed(name: str, at: datetime, old: str, new: str, *, reason: str = "", **data: object) -> Json:
    """A change of state as history tells it; `data` are of the new state."""
    told = {"version": "1.0", **data} if data else None
    state = {"stateValue": new, "stateReason": reason, **({"stateReasonData": told} if told else {})}
    return {
        "AlarmName": name,
        "AlarmType": "MetricAlarm",
        "Timestamp": at,
        "HistoryItemType": "StateUpdate",
        "HistorySummary": f"Alarm updated from {old} to {new}",
        "HistoryData": json.dumps(
            {"version": "1.0", "oldState": {"stateValue": old, "stateReason": "before"}, "newState": state}
        ),
    }


def _hold(told: Json, shape: Any, code: str) -> None:
    """Hold what is said against AWS' own description; times go as numbers on the wire, which it also takes."""
    report = ParamValidator().validate(told, shape)
    if report.has_errors():
        raise Refusal(code, report.generate_report(), 400 if code.startswith("Invalid") else 500)


def _told(key: Key) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in key[2]]


def _page(name: str, found: Sequence[Any], asked: Json, size: int) -> Json:
    token = asked.get("NextToken")
    if token is not None and not token.isdigit():
        raise Refusal("InvalidNextToken", f"Invalid value of parameter nextToken: {token}")
    first = int(token or 0)
    more = {"NextToken": str(first + size)} if first + size < len(found) else {}
    return {name: list(found[first : first + size]), **more}


def _result(query: Json, times: Sequence[float], values: Sequence[float], done: bool) -> Json:
    return {
        "Id": query["Id"],
        "Label": query["MetricStat"]["Metric"]["MetricName"],
        "Timestamps": list(times),
        "Values": list(values),
        "StatusCode": "Complete" if done else "PartialData",
    }


def _statistic(name: str, kept: Sequence[tuple[float, float]]) -> float:
    value, weight = (np.array(column) for column in zip(*kept, strict=True))
    if name in _PLAIN:
        return _PLAIN[name](value, weight)
    if not re.fullmatch(r"p\d{1,2}(\.\d{1,10})?|p100", name):
        raise Refusal("ValidationError", f"The value {name} for parameter Stat is not supported.")
    order = np.argsort(value)
    reached = np.cumsum(weight[order])
    return float(value[order][np.searchsorted(reached, float(name[1:]) / 100 * reached[-1])])
