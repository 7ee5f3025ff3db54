"""One outage as a server: a bad deploy of forge behind bot and gateway, told by surveys and drill-downs.

Built on `odd_server`; with the argument `hang` or `odd`, reading one of the traces hangs, or gives what nobody expects.
"""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    import odd_server as odd

AT = "2026-11-20T02:48:00Z"
EXEMPLARS = ",".join(["t1", *sys.argv[1:]])
DIFF = "--- a/blueprint.py\n+++ b/blueprint.py\n+    finish: str\n"


def tool(name: str, role: str, signal: str, *keys: str) -> dict[str, Any]:
    meta = {"midwatch/role": role, "midwatch/signal": signal, **({"midwatch/key": keys[0]} if keys else {})}
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in keys}}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": True}, "_meta": meta}


def seen(name: str, entity: str, kind: str, subject: str, **fields: object) -> dict[str, Any]:
    """Return an observation that cites the document `{"rows": [1]}`."""
    said = {"kind": kind, "subject": subject, "statement": f"{subject} of {entity}", "onset": AT}
    return {**odd.observation(), "id": name, "entity": entity, **said, **fields}


def told(*observations: dict[str, Any], **fields: object) -> dict[str, Any]:
    return odd.answered([1], **{"midwatch/records": odd.keep(json.dumps({"observations": observations, **fields}))})


def survey_case(_: dict[str, Any]) -> dict[str, Any]:
    loud = {"direction": "up", "score": 20.0, "baseline": 0.0}
    counts = {"requests": "380", "errors": "118"}
    said = {"exemplars": EXEMPLARS, "exception": "ValidationError: finish", "instances": "forge-1:60,forge-2:58"}
    return told(
        seen("o1", "service:gateway", "spike", "error_rate", magnitude=31.0, attributes=counts, **loud),
        seen("o2", "service:forge", "error_trace", "error_origin", magnitude=118.0, attributes=said, **loud),
        seen("o3", "service:schedule", "normal", "error_rate"),
        seen("o4", "service:gateway", "normal", "request_rate"),
    )


def survey_deploys(_: dict[str, Any]) -> dict[str, Any]:
    def deploy(name: str, service: str, minute: str) -> dict[str, Any]:
        facts = {"change_id": name, "version": "3f2c1ab", "previous_version": "9e8d7c6"}
        at = {"signal": "changes", "onset": f"2026-11-20T02:{minute}Z", "attributes": facts}
        return seen(name, f"service:{service}", "change", "deploy", **at)

    return told(deploy("c1", "forge", "47:40"), deploy("c2", "schedule", "46:00"))


def chart(_: dict[str, Any]) -> dict[str, Any]:
    calls = [("gateway", "bot"), ("bot", "forge"), ("bot", "schedule")]
    relations = [{"source": f"service:{a}", "kind": "calls", "target": f"service:{b}"} for a, b in calls]
    names = ("gateway", "bot", "forge", "schedule")
    entities = [{"id": f"service:{name}", "kind": "service", "name": name} for name in names]
    return told(fragment={"entities": entities, "relations": relations})


def read_trace(arguments: dict[str, Any]) -> dict[str, Any] | None:
    if arguments["trace_id"] == "hang":
        return None
    span = {"span_id": "a", "parent_span_id": "", "status": "Error", "name": "read blueprint"}
    return odd.answered([span if arguments["trace_id"] == "odd" else {**span, "service": "forge"}])


def read_change(arguments: dict[str, Any]) -> dict[str, Any]:
    row = {"diff": DIFF, "author": "Ravi Kumar", "attributes": {"session.user": "rkumar"}}
    return odd.answered([row] if arguments["change_id"] == "c1" else [])


odd.TOOLS[:] = [
    tool("chart", "discover", "traces"),
    tool("survey_case", "survey", "traces"),
    tool("survey_deploys", "survey", "changes"),
    tool("read_trace", "drill_down", "traces", "trace_id"),
    tool("read_change", "drill_down", "changes", "change_id"),
]
odd.HANDLERS.update(
    chart=chart, survey_case=survey_case, survey_deploys=survey_deploys, read_trace=read_trace, read_change=read_change
)
odd.main(sys.argv[1:])
