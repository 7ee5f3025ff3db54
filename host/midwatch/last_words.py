"""What those who are unwell said of what they use: one search of the logs for the standard words of complaints.

A survey of logs ranks what is new by how often it is said; who dies on starting says little, and says it in his own
lines only. So the words are looked for where a container is seen to crash, or where no figures say what is wrong.
"""

import hashlib
from collections.abc import Iterator

from pydantic import JsonValue

from midwatch.builtin.complaints import FAMILIES
from midwatch.builtin.mismatches import is_certain, is_effect
from midwatch.builtin.scene import Scene
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch.records import Scope
from midwatch_kit.evidence import cite
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

_TAKES = {"text", "regex", "start", "end", "limit"}
_MOST = 100


def worth_asking(scene: Scene) -> bool:
    """Whether something crashes, or nothing can be compared, so that only words can tell."""
    return not scene.compared or any(is_certain(o) and is_effect(o) for o in scene.mismatches)


async def last_words(inquiry: Inquiry, scope: Scope) -> list[Observation]:
    """Return who complains in the window, and had not complained so before it; once for each service and sort."""
    tool = next((t for t in inquiry.eyes.tools(Role.DRILL_DOWN, Signal.LOGS) if t.arguments >= _TAKES), None)
    answer = await inquiry.ask(tool, _question(tool, scope), "last words") if tool else None
    return inquiry.checked(_complaints(answer, scope)) if answer else []


def _question(tool: Tool, scope: Scope) -> dict[str, JsonValue]:
    words = "|".join(f"(?:{family.says.pattern})" for family in FAMILIES)
    asked: dict[str, JsonValue] = {
        "text": f"(?i){words}",
        "regex": True,
        "start": rfc3339(scope.baseline.start),
        "end": rfc3339(scope.window.end),
        "limit": _MOST,
    }
    return {**asked, **({"level": "warn"} if "level" in tool.arguments else {})}


def _complaints(answer: Answer, scope: Scope) -> Iterator[Observation]:
    said: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(answer.rows):
        if isinstance(row, dict):
            for name in (f.name for f in FAMILIES if f.says.search(str(row.get("message", "")))):
                said.setdefault((str(row.get("service")), name), []).append(number)
    start = rfc3339(scope.window.start)
    for (service, name), numbers in sorted(said.items()):
        times = [str(row["time"]) for n in numbers if isinstance(row := answer.rows[n], dict)]
        if min(times) >= start:
            yield _observation(answer, service, name, numbers[0], len(numbers))


def _observation(answer: Answer, service: str, name: str, number: int, count: int) -> Observation:
    row = answer.rows[number]
    message = str(row.get("message", "")) if isinstance(row, dict) else ""
    return Observation(
        id=hashlib.sha256(f"last words|{service}|{name}|{answer.evidence}".encode()).hexdigest()[:26],
        entity=f"service:{service}",
        signal=Signal.LOGS,
        kind=ObservationKind.NEW_PATTERN,
        subject="last_words",
        statement=f"{service[:60]} says, {count} times: {message}"[:200],
        magnitude=float(count),
        attributes={"exemplar": message[:2000], "complaint": name},
        citations=cite(answer.evidence, {"rows": answer.rows}, [f"/rows/{number}/service", f"/rows/{number}/message"]),
        by="last words",
    )
