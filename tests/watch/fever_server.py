"""A server of traces whose figures follow from a file: how many ask, and in which windows how many of them fail.

The file is JSON, read anew for each question: `rate` (requests a second), `waves` ([[start, end, share], …] in RFC
3339), and `mode`: '' to answer, `down` to refuse, `late` for data that end long before the window, `unknown` for a
service that has no past, `silent` for one that the survey does not know. Each question is appended to the file beside
it that ends in `.calls`.
"""

import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
    import odd_server as odd

STATE = Path(sys.argv[1])
TIMES = ("start", "end", "baseline_start", "baseline_end")


def seen(entity: str, kind: str, subject: str, statement: str, **fields: object) -> dict[str, Any]:
    name = hashlib.sha256(f"{entity}{subject}{statement}".encode()).hexdigest()[:12]
    said = {"id": name, "entity": entity, "kind": kind, "subject": subject, "statement": statement}
    return {**odd.observation(), **said, **fields}


def told(state: dict[str, Any], *observations: dict[str, Any]) -> dict[str, Any]:
    document = odd.keep(json.dumps({"observations": observations}))
    answer = odd.answered([1], **{"midwatch/records": document})
    if state["mode"] == "late":
        answer["structuredContent"]["lag_seconds"] = 3600
    return answer


def survey_fever(arguments: dict[str, Any]) -> dict[str, Any]:
    with STATE.with_suffix(".calls").open("a", encoding="utf-8") as file:
        file.write(json.dumps(arguments) + "\n")
    state = json.loads(STATE.read_text(encoding="utf-8"))
    start, end = (datetime.fromisoformat(arguments[name]) for name in TIMES[:2])
    entity = arguments["entities"][0]
    if state["mode"] == "down":
        return {"content": [{"type": "text", "text": "the backend is away"}], "isError": True}
    if state["mode"] == "silent":
        return told(state)
    requests = round((end - start).total_seconds() * state["rate"])
    usual = float(state["usual"])
    counts = {"requests": str(requests), "errors": "0", "latency_p95": "40"}
    if state["mode"] == "unknown":
        return told(state, seen(entity, "absence", "baseline", "it had no requests in the baseline", attributes=counts))
    if not requests:
        return told(state, seen(entity, "absence", "request_rate", f"{entity} served no request", magnitude=0.0))
    failed = sum(
        max(0.0, (min(datetime.fromisoformat(b), end) - max(datetime.fromisoformat(a), start)).total_seconds()) * share
        for a, b, share in state["waves"]
    ) * float(state["rate"])
    level = {"magnitude": float(state["rate"]), "baseline": usual, "unit": "1/s"}
    errors = round(min(failed, requests))
    counts["errors"] = str(errors)
    if errors * 50 < requests:
        well = f"{entity} is as before: {errors} of {requests} requests failed"
        return told(state, seen(entity, "normal", "request_rate", well, attributes=counts, **level))
    loud = {"direction": "up", "score": 20.0, "magnitude": 100 * errors / requests, "baseline": 0.0, "unit": "%"}
    onset = {"onset": start.isoformat(), "attributes": counts}
    rose = f"error rate of {entity} rose: {errors} of {requests} requests failed"
    return told(state, seen(entity, "spike", "error_rate", rose, **loud, **onset))


def chart(_: dict[str, Any]) -> dict[str, Any]:
    entities = [{"id": "service:gateway", "kind": "service", "name": "gateway"}]
    return odd.answered([1], **{"midwatch/records": odd.keep(json.dumps({"fragment": {"entities": entities}}))})


def tool(name: str, role: str, *keys: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {} for name in keys}}
    meta = {"midwatch/role": role, "midwatch/signal": "traces"}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": True}, "_meta": meta}


odd.TOOLS[:] = [tool("chart", "discover"), tool("survey_fever", "survey", *TIMES, "entities")]
odd.HANDLERS.update(chart=chart, survey_fever=survey_fever)
if __name__ == "__main__":
    odd.main(sys.argv[2:])
