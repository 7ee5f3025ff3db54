"""One outage as a server: a bad deploy of forge behind bot and gateway, told by surveys and drill-downs.

Built on `odd_server`; with the argument `hang` or `odd`, reading one of the traces hangs, or gives what nobody expects.
With `state=FILE` it can be rolled back: the file has a line for each time that was done, and the last one is what runs.
With `wiki` it has a page that says what to do.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    import odd_server as odd

AT = "2026-11-20T02:48:00Z"
STATE, WAYS = [word[6:] for word in sys.argv[1:] if word.startswith("state=")], {"hang", "odd"} & {*sys.argv[1:]}
BAD, GOOD = "3f2c1ab", "9e8d7c6"
EXEMPLARS = ",".join(["t1", *sorted(WAYS)])
DIFF = "--- a/blueprint.py\n+++ b/blueprint.py\n+    finish: str\n"


def tool(name: str, role: str, signal: str, *keys: str) -> dict[str, Any]:
    key = {"midwatch/key": keys[0]} if role == "drill_down" else {}
    meta = {"midwatch/role": role, "midwatch/signal": signal, **key}
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in keys}}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": True}, "_meta": meta}


def seen(name: str, entity: str, kind: str, subject: str, **fields: object) -> dict[str, Any]:
    """Return an observation that cites the document `{"rows": [1]}`."""
    said = {"kind": kind, "subject": subject, "statement": f"{subject} of {entity}", "onset": AT}
    return {**odd.observation(), "id": name, "entity": entity, **said, **fields}


def told(*observations: dict[str, Any], **fields: object) -> dict[str, Any]:
    return odd.answered([1], **{"midwatch/records": odd.keep(json.dumps({"observations": observations, **fields}))})


def made() -> list[str]:
    """Return the versions that were rolled back to, in order."""
    return [line for file in STATE for line in Path(file).read_text(encoding="utf-8").splitlines()]


def roll_back(arguments: dict[str, Any]) -> dict[str, Any]:
    with Path(STATE[0]).open("a", encoding="utf-8") as file:
        file.write(f"{arguments['to_version']}\n")
    return odd.answered([1])


def read_version(_: dict[str, Any]) -> dict[str, Any]:
    return odd.answered([{"version": made()[-1] if made() else BAD}])


def survey_case(_: dict[str, Any]) -> dict[str, Any]:
    if made()[-1:] == [GOOD]:
        counts = {"requests": "380", "errors": "0"}
        return told(seen("o1", "service:gateway", "normal", "error_rate", magnitude=0.0, attributes=counts))
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
        facts = {"change_id": name, "version": BAD, "previous_version": GOOD}
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


def search_pages(_: dict[str, Any]) -> dict[str, Any]:
    return odd.answered([{"id": "p1", "title": "Gateway fails"}])


def read_page(_: dict[str, Any]) -> dict[str, Any]:
    return odd.answered([{"title": "Gateway fails", "text": "Look whether forge changed. If so, roll it back."}])


odd.TOOLS[:] = [
    tool("chart", "discover", "traces"),
    tool("survey_case", "survey", "traces", "start", "end"),
    tool("survey_deploys", "survey", "changes"),
    tool("read_trace", "drill_down", "traces", "trace_id"),
    tool("read_change", "drill_down", "changes", "change_id"),
]
if STATE:
    schema = {"type": "object", "properties": {"service": {"type": "string"}, "to_version": {"type": "string"}}}
    meta = {"midwatch/role": "act", "midwatch/signal": "changes"}
    hints = {"readOnlyHint": False, "idempotentHint": False}
    odd.TOOLS.append(tool("read_version", "drill_down", "changes", "service", "before"))
    odd.TOOLS.append({"name": "roll_back", "inputSchema": schema, "annotations": hints, "_meta": meta})
    odd.HANDLERS.update(roll_back=roll_back, read_version=read_version)
if "wiki" in sys.argv:
    for name, argument, handler in (("search_pages", "query", search_pages), ("read_page", "id", read_page)):
        taken = {"type": "object", "properties": {argument: {"type": "string"}}}
        odd.TOOLS.append({"name": name, "inputSchema": taken, "annotations": {"readOnlyHint": True}})
        odd.HANDLERS[name] = handler
odd.HANDLERS.update(
    chart=chart, survey_case=survey_case, survey_deploys=survey_deploys, read_trace=read_trace, read_change=read_change
)
odd.main(sorted(WAYS))
