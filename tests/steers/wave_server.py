"""A server of an application that failed in waves: what it tells of a window follows from the waves in it.

Its first argument is how the application fares, as JSON: [[start, end, service, share of failing requests], …] in
RFC 3339. Each wave begins with a deploy of its service, five seconds before. With a second argument `hang`, traces of
the service in the first wave cannot be read; with `writes`, there is a tool that writes.
"""

import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
    import odd_server as odd

A_SECOND = 10
WAVES = [
    (datetime.fromisoformat(a), datetime.fromisoformat(b), who, part) for a, b, who, part in json.loads(sys.argv[1])
]
HANGS = "hang" in sys.argv[2:]
TIMES = ("start", "end", "baseline_start", "baseline_end")


def tool(name: str, role: str, signal: str, *keys: str, key: str = "") -> dict[str, Any]:
    meta = {"midwatch/role": role, "midwatch/signal": signal, **({"midwatch/key": key} if key else {})}
    schema = {"type": "object", "properties": {name: {} for name in keys}}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": True}, "_meta": meta}


def counted(start: datetime, end: datetime) -> tuple[int, dict[str, float]]:
    """Return the requests of a window, and how many of them failed in which service."""
    failed: dict[str, float] = {}
    for first, last, service, share in WAVES:
        seconds = (min(last, end) - max(first, start)).total_seconds()
        if seconds > 0:
            failed[service] = failed.get(service, 0.0) + seconds * A_SECOND * share
    return int((end - start).total_seconds() * A_SECOND), failed


def seen(about: object, entity: str, kind: str, subject: str, statement: str, **fields: object) -> dict[str, Any]:
    name = hashlib.sha256(f"{about}{entity}{kind}{subject}".encode()).hexdigest()[:12]
    said = {"kind": kind, "subject": subject, "statement": statement}
    return {**odd.observation(), "id": name, "entity": f"service:{entity}", **said, **fields}


def told(*observations: dict[str, Any], **fields: object) -> dict[str, Any]:
    return odd.answered([1], **{"midwatch/records": odd.keep(json.dumps({"observations": observations, **fields}))})


def survey_waves(arguments: dict[str, Any]) -> dict[str, Any]:
    start, end, first, last = (datetime.fromisoformat(arguments[name]) for name in TIMES)
    requests, failed = counted(start, end)
    past, failed_before = counted(first, last)
    errors, before = sum(failed.values()), sum(failed_before.values()) / past
    share, about = errors / requests, [start, end]
    counts = {"requests": str(requests), "errors": str(int(errors))}
    if share < before + 0.02:
        return told(seen(about, "gateway", "normal", "error_rate", "gateway is as before", attributes=counts))
    inside = [wave for wave in WAVES if wave[0] < end and wave[1] > start]
    onset, over = max(inside[0][0], start), inside[-1][1]
    when = {
        "onset": onset,
        "onset_earliest": onset - timedelta(seconds=2),
        "onset_latest": onset + timedelta(seconds=2),
    }
    when |= {"ended": over} if over < end else {}
    began = {name: moment.isoformat() for name, moment in when.items()}
    loud = {"direction": "up", "score": 20.0, "baseline": 100 * before, "unit": "%", **began}
    rose = f"error rate of gateway rose to {100 * share:.1f}% ({int(errors)} of {requests} requests)"
    places = [
        seen(
            about, service, "error_trace", "error_origin", f"{int(count)} failing traces begin to fail in {service}",
            **{**loud, "magnitude": count, "baseline": 0.0},
            attributes={"exemplars": f"{service}-1", "exception": f"KeyError: {service}", "instances": ""},
        )
        for service, count in failed.items()
    ]  # fmt: skip
    return told(
        seen(about, "gateway", "spike", "error_rate", rose, magnitude=100 * share, attributes=counts, **loud), *places
    )


def survey_deploys(_: dict[str, Any]) -> dict[str, Any]:
    deploys = []
    for number, (start, _end, service, _share) in enumerate(WAVES, 1):
        facts = {"change_id": f"c{number}", "version": f"v{number + 1}", "previous_version": f"v{number}"}
        at = {"signal": "changes", "onset": (start - timedelta(seconds=5)).isoformat(), "attributes": facts}
        deploys.append(seen(number, service, "change", "deploy", f"deploy of {service} v{number + 1}", **at))
    return told(*deploys)


def chart(_: dict[str, Any]) -> dict[str, Any]:
    relations = [
        {"source": "service:gateway", "kind": "calls", "target": f"service:{name}"} for name in ("bot", "forge")
    ]
    entities = [{"id": f"service:{name}", "kind": "service", "name": name} for name in ("gateway", "bot", "forge")]
    return told(fragment={"entities": entities, "relations": relations})


def read_trace(arguments: dict[str, Any]) -> dict[str, Any] | None:
    service = str(arguments["trace_id"]).partition("-")[0]
    if HANGS and service == WAVES[0][2]:
        return None
    return odd.answered(
        [{"span_id": "a", "parent_span_id": "", "status": "Error", "name": "serve", "service": service}]
    )


def read_slo(arguments: dict[str, Any]) -> dict[str, Any]:
    return odd.answered([{"service": arguments["service"], "objective": 99.9}])


odd.TOOLS[:] = [
    tool("chart", "discover", "traces"),
    tool("survey_waves", "survey", "traces", *TIMES, "entities"),
    tool("survey_deploys", "survey", "changes"),
    tool("read_trace", "drill_down", "traces", "trace_id", key="trace_id"),
    {**tool("read_slo", "", "", "service"), "_meta": {}},
]
odd.TOOLS[-1]["inputSchema"]["required"] = ["service"]
odd.TOOLS.append({**tool("read_page", "", "", "page"), "_meta": {}})
odd.TOOLS[-1]["inputSchema"]["required"] = ["page"]
if "writes" in sys.argv[2:]:
    odd.TOOLS.append({"name": "restart", "inputSchema": {"type": "object"}, "_meta": {"midwatch/role": "act"}})
odd.HANDLERS.update(
    chart=chart, survey_waves=survey_waves, survey_deploys=survey_deploys, read_trace=read_trace, read_slo=read_slo
)
odd.main(sys.argv[2:])
