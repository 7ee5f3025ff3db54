"""An AWS X-Ray that keeps traces in memory: the calls that read, with the real one's limits and pages.

Questions and answers are held against botocore's model of the service, which is AWS' own published description of it.
`moto` has the same calls, but its summaries know no filter and no services, and its graph is empty.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Final

import botocore.session
from botocore.validate import ParamValidator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.segments import documents_of, id_of
from tests.backends.fakes.xray_filter import Node, Refused, read

_MODEL: Final = botocore.session.get_session().get_service_model("xray")
_LONGEST: Final = 24 * 3600
_PAGE: Final = 100


class FakeXRay:
    """Traces given as rows of the store's table; `denied` are operations that the credentials may not call."""

    def __init__(self, rows: list[Row], *, denied: Collection[str] = (), unprocessed: Collection[str] = ()) -> None:
        self._denied, self.unprocessed = denied, set(unprocessed)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.traces: dict[str, list[Row]] = {}
        for row in rows:
            self.traces.setdefault(row["TraceId"], []).append(row)
        self._begun = {name: min(row["Timestamp"] for row in spans) for name, spans in self.traces.items()}
        self._nodes = {name: _node(spans) for name, spans in self.traces.items()}
        calls = {
            "/TraceSummaries": ("GetTraceSummaries", self._summaries),
            "/Traces": ("BatchGetTraces", self._get),
            "/ServiceGraph": ("GetServiceGraph", self._graph),
        }
        self.app = Starlette(
            routes=[Route(path, self._answering(*call), methods=["POST"]) for path, call in calls.items()]
        )

    def _answering(self, operation: str, call: Any) -> Any:
        model = _MODEL.operation_model(operation)
        takes, gives = model.input_shape, model.output_shape
        assert takes is not None
        assert gives is not None

        async def answer(request: Request) -> Response:
            asked = await request.json()
            self.asked.append((operation, asked))
            if wrong := ParamValidator().validate(asked, takes).generate_report():
                return _refused("InvalidRequestException", wrong)
            if operation in self._denied:
                return _refused("AccessDeniedException", f"not authorized to perform: xray:{operation}", 403)
            try:
                told = call(asked)
            except Refused as error:
                return _refused("InvalidRequestException", str(error))
            assert not ParamValidator().validate(told, gives).generate_report()
            return JSONResponse(told)

        return answer

    def _summaries(self, asked: dict[str, Any]) -> dict[str, Any]:
        start, end = asked["StartTime"], asked["EndTime"]
        if end - start > _LONGEST:
            raise Refused("Time range cannot be longer than 24 hours")
        if asked.get("TimeRangeType", "TraceId") != "TraceId":
            raise Refused("this fake knows traces by when they began")
        test = read(asked.get("FilterExpression", ""))
        names = [name for name, at in self._begun.items() if start * 10**9 <= at <= end * 10**9]
        found = [self._summary(name) for name in names if test(self._nodes[name])]
        first = int(asked.get("NextToken", "0"))
        more = {"NextToken": str(first + _PAGE)} if len(found) > first + _PAGE else {}
        return {"TraceSummaries": found[first : first + _PAGE], "TracesProcessedCount": len(names), **more}

    def _summary(self, name: str) -> dict[str, Any]:
        node = self._nodes[name]
        return {
            "Id": id_of(name),
            "StartTime": self._begun[name] / 10**9,
            "Duration": round(node.duration, 3),
            "HasFault": "fault" in node.flags,
            "HasError": "error" in node.flags,
            "HasThrottle": "throttle" in node.flags,
            "IsPartial": False,
            "EntryPoint": {"Name": node.name, "Names": [node.name]},
            "ServiceIds": [{"Name": one.name, "Names": [one.name]} for one in node.services],
        }

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        if len(asked["TraceIds"]) > 5:
            raise Refused("Too many trace ids: at most 5")
        known = {id_of(name): name for name in self.traces}
        late = self.unprocessed & set(asked["TraceIds"])
        self.unprocessed -= late
        return {
            "Traces": [self._trace(known[told]) for told in asked["TraceIds"] if told in known and told not in late],
            "UnprocessedTraceIds": [told for told in asked["TraceIds"] if told not in known or told in late],
        }

    def _trace(self, name: str) -> dict[str, Any]:
        documents = documents_of(self.traces[name])
        segments = [{"Id": f"{number:016x}", "Document": text} for number, text in enumerate(documents)]
        return {"Id": id_of(name), "Duration": self._nodes[name].duration, "LimitExceeded": False, "Segments": segments}

    def _graph(self, asked: dict[str, Any]) -> dict[str, Any]:
        start, end = asked["StartTime"], asked["EndTime"]
        if end - start > _LONGEST / 4:
            raise Refused("Time range cannot be longer than 6 hours")
        rows = [
            row for name, at in self._begun.items() if start * 10**9 <= at <= end * 10**9 for row in self.traces[name]
        ]
        return {"StartTime": start, "EndTime": end, "Services": [*_services(rows, start, end)]}


def _services(rows: list[Row], start: float, end: float) -> Iterable[dict[str, Any]]:
    """Nodes of the graph: services, and what X-Ray infers from their calls; one call was seen in no trace of these."""
    if not rows:
        return
    service = {row["SpanId"]: row["ServiceName"] for row in rows}
    calls = Counter(
        (service[row["ParentSpanId"]], row["ServiceName"])
        for row in rows
        if row["ParentSpanId"] in service and service[row["ParentSpanId"]] != row["ServiceName"]
    )
    calls["web", "ghost"] = 3
    calls["pay", "bank.example.com"] = 5
    names = sorted({name for ends in calls for name in ends} | set(service.values()))
    for number, name in enumerate(names):
        edges = [
            {"ReferenceId": names.index(to), "SummaryStatistics": {"TotalCount": count, "OkCount": count}}
            for (by, to), count in sorted(calls.items())
            if by == name
        ]
        kind = "remote" if "." in name else "AWS::ECS::Container"
        bounds = {"StartTime": start, "EndTime": end}
        yield {"ReferenceId": number, "Name": name, "Names": [name], "Type": kind, "Edges": edges, **bounds}


def _node(rows: list[Row]) -> Node:
    """A trace as filters see it: flags of its first span, and a node for each service."""
    first = min(rows, key=lambda row: (bool(row["ParentSpanId"]), row["Timestamp"]))
    failed = {row["ServiceName"] for row in rows if row["StatusCode"] == "Error"}
    end = max(row["Timestamp"] + row["Duration"] for row in rows)
    return Node(
        name=first["ServiceName"],
        flags={"fault"} if first["StatusCode"] == "Error" else set(),
        duration=(end - min(row["Timestamp"] for row in rows)) / 10**9,
        annotations={"aws.local.operation": first["SpanName"]},
        services=[
            Node(name, {"fault"} if name in failed else set()) for name in sorted({row["ServiceName"] for row in rows})
        ],
    )


def _refused(code: str, words: str, status: int = 400) -> Response:
    return JSONResponse({"message": words}, status, {"x-amzn-ErrorType": code})
