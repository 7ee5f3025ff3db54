"""Looking a condition up: by the same surveys that found the trouble, over a window of now. Nothing is changed.

A condition that nobody can tell of is neither met nor unmet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from midwatch.builtin.weights import SHIFTED
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import Condition, Scope
from midwatch.scoping import before, survey_arguments
from midwatch_kit.records import Observation, ObservationKind, Signal, Window
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

_QUIET = (ObservationKind.NORMAL, ObservationKind.ABSENCE, ObservationKind.CHANGE, ObservationKind.READING)
_BY = "conditions"


@dataclass(frozen=True)
class Held:
    """Whether a condition is met; None when nobody can say. `said` tells what was seen, and `evidence` shows it."""

    met: bool | None
    said: str
    evidence: str | None = None


async def look_up(
    inquiry: Inquiry, scope: Scope, condition: Condition, window: Window, acted: datetime | None = None
) -> Held:
    """Return whether a condition is met in a window, beside the incident's baseline.

    `acted` is when something was done that should have met it: records of before say nothing then.
    """
    if condition.comparison == "equals":
        return await _version(inquiry, condition, window, acted)
    tools = inquiry.eyes.tools(Role.SURVEY, condition.signal)
    asked = [(tool, survey_arguments(tool, window, before(tool, scope), [condition.entity])) for tool in tools]
    answers = await inquiry.ask_all(asked, _BY)
    if not answers:
        return Held(None, f"nobody can say whether {condition.said}")
    seen = [o for _, answer in answers for o in inquiry.checked(answer.observations)]
    own = [o for o in seen if condition.entity in (o.entity, o.related)]
    met, said = compared(condition, own)
    return Held(met, said, answers[0][1].evidence)


def compared(condition: Condition, seen: Sequence[Observation]) -> tuple[bool | None, str]:
    """Return whether what was seen of an entity meets a condition, and what says so; None when nothing does.

    That a message is absent is said by a survey that tells of the entity and has none of it.
    """
    if not seen:
        return None, f"nothing is known of {condition.entity}, so nobody can say whether {condition.said}"
    loud = [o for o in seen if o.kind not in _QUIET and o.score >= SHIFTED]
    if condition.comparison in ("present", "absent"):
        found = next((o for o in loud if _says(o, condition.subject)), None)
        return (found is not None) is (condition.comparison == "present"), found.statement if found else condition.said
    if condition.comparison in ("normal", "unusual"):
        odd = next((o for o in loud if _is_of(o, condition)), None)
        told = odd or next((o for o in seen if _is_of(o, condition)), None)
        said = told.statement if told else f"{condition.subject} of {condition.entity} is as it was"
        return (odd is not None) is (condition.comparison == "unusual"), said
    return _beside_value(condition, seen)


def _beside_value(condition: Condition, seen: Iterable[Observation]) -> tuple[bool | None, str]:
    figure = next((o for o in seen if _is_of(o, condition) and o.magnitude is not None), None)
    if figure is None or figure.magnitude is None or not isinstance(condition.value, float):
        return None, f"no figure of {condition.subject} is known, so nobody can say whether {condition.said}"
    at_most = condition.comparison == "at_most"
    return (figure.magnitude <= condition.value if at_most else figure.magnitude >= condition.value), figure.statement


def _is_of(seen: Observation, condition: Condition) -> bool:
    return seen.subject == condition.subject and seen.entity == condition.entity


def _says(seen: Observation, text: str) -> bool:
    told = seen.attributes
    said = (told.get("template", ""), told.get("exemplar", ""), told.get("exception", ""), seen.statement)
    return any(text in each for each in said)


async def _version(inquiry: Inquiry, condition: Condition, window: Window, acted: datetime | None) -> Held:
    """Look up which version of a service runs, by the changes that are on record."""
    name = condition.entity.partition(":")[2]
    tools = [t for t in inquiry.eyes.tools(Role.DRILL_DOWN, Signal.CHANGES, "service") if "before" in t.arguments]
    asked: list[tuple[Tool, dict[str, JsonValue]]] = [
        (tool, {"service": name, "before": rfc3339(window.end)}) for tool in tools
    ]
    answers = await inquiry.ask_all(asked, _BY)
    for _, answer in answers:
        runs = answer.rows[-1] if answer.rows else None
        if isinstance(runs, dict) and isinstance(version := runs.get("version"), str):
            if version != condition.value and acted and not _is_since(runs, acted):
                return Held(None, f"no change of {condition.entity} is on record since then", answer.evidence)
            return Held(version == condition.value, f"{condition.entity} runs {version}", answer.evidence)
    return Held(None, f"nobody can say whether {condition.said}")


def _is_since(row: Mapping[str, JsonValue], moment: datetime) -> bool:
    """Whether a row of versions serves since a moment or later; one without a time may."""
    at = row.get("since")
    return not isinstance(at, str) or datetime.fromisoformat(at) >= moment
